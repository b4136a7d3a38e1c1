"""Countries: ISO 3166-1 codes, and what people and shops write in their place. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import pycountry

KOSOVO = "XK"
"""No ISO code, but the one that shops, carriers and the European Union use."""
COUNTRIES: tuple[str, ...] = tuple(sorted({*(country.alpha_2 for country in pycountry.countries), KOSOVO}))
_NAMES = ("alpha_2", "alpha_3", "name", "official_name", "common_name")
_ALSO = {
    "AE": ("UAE", "Emirates"),
    "BN": ("Brunei",),
    "CD": ("DR Congo", "Democratic Republic of the Congo"),
    "CG": ("Republic of the Congo",),
    "CI": ("Ivory Coast",),
    "CV": ("Cape Verde",),
    "CZ": ("Czech Republic",),
    "FM": ("Micronesia",),
    "GB": (
        *("UK", "U.K.", "Great Britain", "Britain", "England", "Scotland", "Wales", "Northern Ireland"),
        "United Kingdom of Great Britain",
    ),
    "GR": ("EL", "Hellas"),
    "HK": ("Hong Kong SAR", "Hong Kong SAR China"),
    "IE": ("Republic of Ireland", "Eire"),
    "KP": ("North Korea",),
    "KR": ("South Korea", "Korea", "Republic of Korea"),
    "LA": ("Laos",),
    "MK": ("Macedonia", "FYROM"),
    "MM": ("Burma",),
    "MO": ("Macau", "Macao SAR China"),
    "NL": ("Holland",),
    "PS": ("Palestine", "Palestinian Territories"),
    "RU": ("Russia",),
    "SZ": ("Swaziland",),
    "TR": ("Turkey", "Turkiye"),
    "US": ("U.S.", "U.S.A.", "United States of America", "America"),
    "VA": ("Vatican", "Vatican City"),
    "VN": ("Vietnam",),
    KOSOVO: (KOSOVO, "XKX", "Kosovo", "Republic of Kosovo"),
}
"""Names in use that the ISO list does not have. EL and UK are the European Union's codes."""
_LONGEST = 100
"""No name is longer, and what was asked for is remembered: long texts would fill the memory."""
_NO_WORD = re.compile(r"[^\w]+")


def country_code(text: str) -> str | None:
    """Return the two-letter code of a country; None for a text that names none.

    Args:
        text: a code of two or three letters, or an English name; case, accents, dots and "the" are ignored.
    """
    return _code_of(text) if len(text) <= _LONGEST else None


def country_name(code: str) -> str:
    """Return the English name of a two-letter code; the code itself where it is none."""
    country = pycountry.countries.get(alpha_2=code)
    if country is None:
        return "Kosovo" if code == KOSOVO else code
    return str(getattr(country, "common_name", country.name))


@lru_cache(maxsize=4096)
def _code_of(text: str) -> str | None:
    return _codes().get(_key(text))


def _key(text: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    words = _NO_WORD.sub(" ", plain.casefold().replace(".", "").replace("&", " and ")).split()
    return " ".join(words[1:] if words[:1] == ["the"] else words)


@cache
def _codes() -> dict[str, str]:
    codes: dict[str, str] = {}
    for country in pycountry.countries:
        for name in _NAMES:
            if text := getattr(country, name, None):
                codes[_key(text)] = country.alpha_2
    for code, names in _ALSO.items():
        for name in names:
            codes[_key(name)] = code
    return codes
