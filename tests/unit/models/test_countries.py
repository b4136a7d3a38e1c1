"""A country is known by its code or its English name, as shops and people write it."""

from __future__ import annotations

import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.countries import COUNTRIES, country_code, country_name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(
            ("GB", "GB"),
            ("gb", "GB"),
            (" Gb ", "GB"),
            ("GBR", "GB"),
            ("UK", "GB"),
            ("U.K.", "GB"),
            ("England", "GB"),
        ),
        *(("EL", "GR"), ("XK", "XK"), ("Kosovo", "XK"), ("USA", "US"), ("U.S.A.", "US")),
        *(("United Kingdom", "GB"), ("united  kingdom", "GB"), ("The Netherlands", "NL"), ("Türkiye", "TR")),
        *(("Turkey", "TR"), ("Côte d'Ivoire", "CI"), ("Cote d’Ivoire", "CI"), ("Ivory Coast", "CI")),
        *(
            ("South Korea", "KR"),
            ("Czech Republic", "CZ"),
            ("Czechia", "CZ"),
            ("Viet Nam", "VN"),
            ("Vietnam", "VN"),
        ),
        *(("Bosnia & Herzegovina", "BA"), ("Taiwan", "TW"), ("Russia", "RU"), ("Bolivia", "BO")),
        *(("", None), ("ZZ", None), ("Atlantis", None), ("1", None), ("G B", None), ("GB1", None)),
    ],
)
def test_what_people_write(text: str, code: str | None) -> None:
    assert country_code(text) == code


def test_every_code_and_name_of_the_list_is_known() -> None:
    for country in pycountry.countries:
        assert country_code(country.alpha_2) == country.alpha_2
        assert country_code(country.alpha_3) == country.alpha_2
        assert country_code(country.name) == country.alpha_2
    assert set(COUNTRIES) == {country.alpha_2 for country in pycountry.countries} | {"XK"}


@given(st.text(max_size=30))
def test_any_text_is_a_country_or_none(text: str) -> None:
    assert country_code(text) in {None, *COUNTRIES}


def test_no_long_text_in_place_of_a_country_is_remembered() -> None:
    from models import countries

    remembered = countries._code_of.cache_info().currsize
    assert country_code("GB" * 100_000) is None
    assert countries._code_of.cache_info().currsize == remembered


def test_every_code_has_a_name_that_leads_back_to_it() -> None:
    assert (country_name("GB"), country_name("TW"), country_name("XK")) == (
        "United Kingdom",
        "Taiwan",
        "Kosovo",
    )
    assert [code for code in COUNTRIES if country_code(country_name(code)) != code] == []
    assert country_name("ZZ") == "ZZ"
