"""What couriers, codes, addresses and dates may be, whoever gives them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracking.values import (
    UnfitShipmentError,
    clean_code,
    clean_courier,
    clean_url,
    code_key,
    refuse_no_value,
    rounded_codes,
    shipped_moment,
)

ERROR_WORDS = [
    *("#N/A", "#n/a", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#ERROR!", "#SPILL!"),
    *("#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#ÜBERLAUF!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#N/D", "#RIF!"),
    *(
        "#¡REF!",
        "#¿NOMBRE?",
        "#¡DIV/0!",
        "#GETTING_DATA",
        "#N/A N/A",
        "#######",
        "#Н/Д",
        "#DEEL/0!",
        "Err:502",
    ),
]
NO_VALUES = [
    *("nan", "NaN", "None", "null", "NULL", "N/A", "n/a", "NA", "n.a.", "nil", "NaT", "<NA>", "undefined"),
    *(
        "TRUE",
        "FALSE",
        "true",
        "WAHR",
        "FALSCH",
        "VRAI",
        "-",
        "--",
        "—",
        "?",
        "...",
        "\\N",
        "(null)",
        "(blank)",
    ),
]
NUMBERS = [
    *("1.55E+13", "1,55012E+13", "1.55012345678E13", "3,40434E+17", "1.2E+20", "9e+5", "1.55e-7", "+1.5E+10"),
    *("155011223344.0", "15501234567890.0", "155011223344,0", "155011223344.00", "15501.5"),
    *("15,501,234,567,890", "15.501.234.567.890", "15'501'234'567'890", "15,501,234.00"),
]
SEVERAL = [
    *("1Z999AA10123456784, 1Z999AA10123456795", "1Z999AA10123456784;1Z999AA10123456795", "AB123,", "A1|B2"),
    *("1Z999AA10123456784/1Z999AA10123456795", "1Z999AA10123456784 / 1Z999AA10123456795"),
    *("15501234567890+15501234567891", "15501234567890 & 15501234567891", "AB12345 and AB12346"),
    *("AB12345 UND AB12346", "15501234567890\n15501234567891", "15501234567890\r\n15501234567891"),
    *("1Z999AA10123456784 1Z999AA10123456795", "00340434161094042557  00340434161094042564"),
]
CODES = [
    *(
        "0034",
        "00340434161094042557",
        "JD 0002 1234",
        "1E5",
        "123E4567",
        "äß-1",
        "AB123456789GB",
        "H00ABC1234567",
    ),
    *("AB 1234 5678 9GB", "0034 0434 1610 9404 2557", "9400 1000 0000 0000 0000 00", "1234 5678 9012"),
    *("99.00.123456.12345678", "JJD-0099-9999-12", "AB/1", "0628/1234567890", "C/O 12", "LX 123 OR 45 GB"),
    *("1550123456789000", "340434161094042000", "34043416109404200000", "15501234567890", "+0001", "#12345"),
    *("NANCY1", "NULL1", "TRUE1", "NONE0001", "X", "7"),
]


@pytest.mark.parametrize("text", ["", "  ", None, "\u200b", "\x00", "AB\x1b[31m", "AB\x0712", "x" * 201])
def test_unusable_codes_are_refused(text: str | None) -> None:
    with pytest.raises(UnfitShipmentError):
        clean_code(text)


@pytest.mark.parametrize("text", CODES)
def test_codes_are_text_and_stay_what_they_are(text: str) -> None:
    assert clean_code(f"  {text}\t") == text


@pytest.mark.parametrize("text", ERROR_WORDS)
def test_an_error_of_a_spreadsheet_is_no_value(text: str) -> None:
    for clean in (clean_code, clean_courier, clean_url):
        with pytest.raises(UnfitShipmentError, match="is an error of a spreadsheet, such as #N/A: enter the"):
            clean(f" {text} ")
    with pytest.raises(UnfitShipmentError, match="the order is an error"):
        refuse_no_value(text, "order")


@pytest.mark.parametrize("text", NO_VALUES)
def test_a_word_for_no_value_is_none(text: str) -> None:
    for clean in (clean_code, clean_courier, clean_url):
        with pytest.raises(UnfitShipmentError, match="is a word for no value"):
            clean(f"{text}\u00a0")
    with pytest.raises(UnfitShipmentError, match="the order is a word for no value"):
        refuse_no_value(text, "order")


@pytest.mark.parametrize("order", ["#1001", "#A-1", "N/A-1", "1E5", "0", "-5", "Ä 2", "=1+1"])
def test_numbers_that_only_begin_like_such_a_word_are_numbers(order: str) -> None:
    refuse_no_value(order, "order")


@pytest.mark.parametrize("text", NUMBERS)
def test_a_code_that_was_made_a_number_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match=r"made a number of the code.*save its column as text"):
        clean_code(text)


@pytest.mark.parametrize("text", ["0", "000", "0.0"])
def test_what_an_empty_cell_gives_is_no_code(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match=r"the code is 0|made a number"):
        clean_code(text)


@pytest.mark.parametrize(
    "text", ["2026-11-23", "2026-11-23 00:00:00", "23.11.2026", "11/23/26", "1/2/2026 9:30"]
)
def test_a_code_that_was_made_a_date_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match="made a date of the code: save its column as text"):
        clean_code(text)


@pytest.mark.parametrize("text", SEVERAL)
def test_two_codes_are_not_one(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match="the code is more than one: podOS has room for one"):
        clean_code(text)


@pytest.mark.parametrize("text", ["=A1&B1", '="0034', "=SUM(A1)", '24"', '=HYPERLINK("https://x.test")'])
def test_a_formula_is_no_code(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match="the code is a formula"):
        clean_code(text)


def test_an_address_is_no_code() -> None:
    with pytest.raises(UnfitShipmentError, match="that is the url"):
        clean_code("https://track.example.test/AB12345/CD12345")


@pytest.mark.parametrize(
    "cell",
    [
        *('="00340434161094042557"', "'00340434161094042557", '\'="00340434161094042557"'),
        *(' = "00340434161094042557" ', "\ufeff'00340434161094042557\u200b", '="00340434161094042557 "'),
    ],
)
def test_what_keeps_a_value_text_is_taken_off(cell: str) -> None:
    assert clean_code(cell) == "00340434161094042557"


def test_it_is_taken_off_every_value() -> None:
    assert clean_courier('="DPD"') == clean_courier("'DPD") == "DPD"
    assert clean_url('="https://x.example.test/1"') == "https://x.example.test/1"
    assert (
        shipped_moment("'2026-11-23") == shipped_moment('="2026-11-23"') == datetime(2026, 11, 23, tzinfo=UTC)
    )


def test_what_can_not_be_seen_does_not_count() -> None:
    assert clean_courier("Royal\u00a0Mail\u200b") == "Royal Mail"
    assert clean_code("\ufeffAB\u00ad1\u202f23\ufe0f ") == "AB1 23"


@pytest.mark.parametrize("text", ["", "\u200b\x07", "x" * 101, None, "=cmd", '="Royal Mail'])
def test_unusable_couriers_are_refused(text: str | None) -> None:
    with pytest.raises(UnfitShipmentError, match="courier"):
        clean_courier(text)


@pytest.mark.parametrize(
    "text", ["DPD", "Royal Mail", "A.P.C.", "Pošta", "24/7", "DHL, Express", "Deutsche Post & Co"]
)
def test_couriers_are_free_text(text: str) -> None:
    assert clean_courier(text) == text


@given(st.text(max_size=30))
def test_a_cleaned_value_is_clean(text: str) -> None:
    for clean in (clean_code, clean_courier):
        try:
            cleaned = clean(text)
        except UnfitShipmentError:
            continue
        assert cleaned.isprintable()
        assert cleaned == cleaned.strip() != ""
        assert cleaned[0] != "="


@pytest.mark.parametrize(
    "part", ["_", "#_", "#/", "1,", "1.111", "='", '""', "a and ", "12345/", "\u200b", " "]
)
def test_a_long_value_costs_no_more_than_its_length(part: str) -> None:
    for text in (part * 50_000, f"#{part * 50_000}9", f'="{part * 50_000}', f"1{part * 50_000}x"):
        for clean in (clean_code, clean_courier, clean_url):
            with contextlib.suppress(UnfitShipmentError):
                clean(text)


# --- digits that a spreadsheet rounded away -----------------------------------------------------------------


@pytest.mark.parametrize("code", ["34043416109404200000", "340434161094042000", "00340434161094042000"])
def test_a_code_with_three_zeros_behind_its_15th_digit_may_be_rounded(code: str) -> None:
    assert rounded_codes([code, "00340434161094042557", "AB123456789GB"]) == {code}


@pytest.mark.parametrize(
    "code",
    [
        *("00340434161094042557", "1234567890123450", "12345678901234500", "123456789012000"),
        *("AB1234567890123456000", "3404 3416 1094 0420 00", "15501234567000", "3404341610940420001"),
    ],
)
def test_other_codes_may_end_with_zeros(code: str) -> None:
    assert rounded_codes([code]) == frozenset()


def test_a_whole_column_that_ends_with_zeros_may_be_rounded() -> None:
    column = [f"123456789012{number}0" for number in range(100, 110)]
    assert rounded_codes([*column, "AB12", "15501234567890"]) == set(column)
    assert rounded_codes([*column, "1234567890123456"]) == frozenset()  # so they are text


# --- addresses and dates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "track.test/1", "https://", "https://a b.test", "http://["]
)
def test_what_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match="url"):
        clean_url(text)


@pytest.mark.parametrize("text", [None, "", " ", "\u200b"])
def test_no_address_is_none(text: str | None) -> None:
    assert clean_url(text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T09:30", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23T09:30+01:00", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
    ],
)
def test_shipped_at_is_an_instant(text: str, moment: datetime | None) -> None:
    assert shipped_moment(text) == moment


@pytest.mark.parametrize("text", ["yesterday", "23/11/2026", "0001-01-01T00:00+14:00"])
def test_shipped_at_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UnfitShipmentError, match="no date"):
        shipped_moment(text)


def test_codes_are_the_same_whatever_their_spaces_and_capitals() -> None:
    assert code_key(" ab 12\u00a0") == code_key("AB12")


@pytest.mark.parametrize(
    ("text", "date_format", "day"),
    [
        ("23/11/2026", "%d/%m/%Y", 23),
        ("11/3/2026", "%m/%d/%Y", 3),
        ("23.11.26", "%d.%m.%y", 23),
        ("2026-11-23", "%d/%m/%Y", 23),
    ],
)
def test_a_date_of_a_form_that_is_set_is_read(text: str, date_format: str, day: int) -> None:
    assert shipped_moment(text, date_format) == datetime(2026, 11, day, tzinfo=UTC)


def test_a_date_of_another_form_is_refused_with_the_forms_to_use() -> None:
    for text in ("23/11/2026", "23.11.2026", "Nov 23, 2026"):
        with pytest.raises(UnfitShipmentError, match=r"write 2026-11-23 .* or set DESK_DATE_FORMAT"):
            shipped_moment(text)
