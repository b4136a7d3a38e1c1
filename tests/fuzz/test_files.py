"""Whatever a CSV or maps file holds: rows or a clear error with its line, nothing by half, codes exactly."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st
from sqlalchemy import Engine, text

from tasks.rules.maps_file import load_maps, maps_of
from tasks.rules.maps_store import list_maps, read_maps, save_maps
from tasks.rules.yaml_lines import RulesFileError
from tasks.tracking.drop_folder import take_folder
from tasks.tracking.intake import Taken, take_file
from tasks.tracking.tables import ShipmentFileError
from tests.fuzz.looking import Looking
from tests.support.builders import insert_order, insert_run
from tests.support.workbooks import ods, xlsx

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
ORDERS = ("A-1", "007", "1E5", "=1+1", "Ä 2")
HEADER = ("order", "courier", "code", "url", "shipped_at")
BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufe0e\ufe0f"
_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
HUGE = "9" * 140_000  # more than a value may have

cells = st.one_of(
    st.sampled_from(
        (
            *(
                "",
                " ",
                "0",
                "00012345",
                "1E5",
                "1,5E+12",
                "=SUM(A1)",
                "+1",
                "-1",
                "@x",
                "'007",
                '="007"',
                '="say ""7"""',
                "#N/A",
                "nan",
                "-",
                "1.5E+13",
                "155011223344.0",
                "340434161094042000",
                "AB12345, AB12346",
                "DP\u200bD",
                "\x00",
                "a\x00b",
            ),
            *("a\nb", '"', '""', "a;b", "a,b", "\ufeff", "\u202e1", "DPD", "2026-11-23", "0001-01-01"),
            *("https://x.example.test/1", "javascript:x", "http://[", "9" * 5000),
        )
    ),
    # not \r: Python's writer forgets to quote it
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8),
)
couriers = st.sampled_from(("DPD", "Royal Mail", " UPS ", "=cmd")) | cells
codes = (
    st.from_regex(r"[A-Z][0-9]{1,19}", fullmatch=True)
    | st.from_regex(r" ?[0-9A-Z=+-][0-9A-Z ]{0,20}", fullmatch=True)
    | cells
)
rows = st.tuples(st.sampled_from(ORDERS) | cells, couriers, codes, cells, cells)


class Written(NamedTuple):
    """A CSV file and the rows that it was written from, each with the line where it begins."""

    content: bytes
    rows: list[tuple[int, tuple[str, str, str, str, str]]]


@st.composite
def csv_files(draw: st.DrawFn) -> Written:
    """Draw a file that a program writes: any separator, quotation, line end and encoding."""
    separator, line_end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(("\n", "\r\n", "\r")))
    behind = ("",) * draw(st.sampled_from((0, 0, 1, 3)))
    shown = io.StringIO(newline="")
    if draw(st.booleans()):
        shown.write(f"sep={separator}{line_end}")
    writer = csv.writer(shown, delimiter=separator, lineterminator=line_end)
    if draw(st.booleans()):
        writer = csv.writer(shown, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow([name.upper() if draw(st.booleans()) else name for name in HEADER])
    placed = []
    for row in draw(st.lists(rows, max_size=6)):
        before = shown.getvalue()
        placed.append((before.count("\n") + before.count("\r") - before.count("\r\n") + 1, row))
        writer.writerow((*row, *behind))
    return Written(shown.getvalue().encode(draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16")))), placed)


@st.composite
def workbooks(draw: st.DrawFn) -> Written:
    """Draw a workbook of cells of text."""
    drawn = draw(st.lists(rows, max_size=6))
    plain = {cell: _NOT_IN_XML.sub("", cell) for row in drawn for cell in row}
    listed = [(plain[a], plain[b], plain[c], plain[d], plain[e]) for a, b, c, d, e in drawn]
    content = draw(st.sampled_from((xlsx, ods)))([("Rows", [HEADER, *listed])])
    return Written(content, list(enumerate(listed, 2)))


broken_files = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda file, place, noise: (
            file.content[: place % len(file.content)] + noise + file.content[place % len(file.content) + 1 :]
        ),
        workbooks(),
        st.integers(0, 10_000),
        st.binary(max_size=6),
    ),
    st.builds(
        lambda file, place, noise: (
            file.content[: place % len(file.content)] + noise + file.content[place % len(file.content) :]
        ),
        csv_files(),
        st.integers(0, 10_000),
        st.sampled_from((b'"', b"\x00", b"\xff", b"\r", b"\n", b'\n"', b",,,,,,", HUGE.encode(), b""))
        | st.binary(max_size=6),
    ),
    st.builds(
        lambda file, coding: file.content.decode("utf-8-sig", "replace").encode(coding, "replace"),
        csv_files(),
        st.sampled_from(("utf-16", "utf-16-le", "latin-1", "cp1252", "utf-7")),
    ),
)


def seen(cell: str) -> str:
    """Return what a cell says in a spreadsheet, read without this program's own reader."""
    shown = "".join(
        " " if category == "Zs" else "" if category == "Cf" or char in BLANK else char
        for char, category in ((char, unicodedata.category(char)) for char in cell)
    ).strip()
    if shown.startswith("'"):
        return shown[1:].strip()
    if re.fullmatch(r'=\s*"([^"]|"")*"', shown):
        return shown.partition('"')[2][:-1].replace('""', '"').strip()
    return shown


def with_orders(desk: Engine) -> dict[str, int]:
    """Write the orders that rows can name, and return their ids."""
    run = insert_run(desk)
    return {name: insert_order(desk, run_id=run, order_number=name) for name in ORDERS}


def kept(desk: Engine) -> list[tuple[int, str, str]]:
    """Return the shipments of the desk: order, courier and code."""
    with desk.connect() as connection:
        found = connection.execute(text("SELECT order_id, courier, code FROM shipments ORDER BY id"))
        return [(row.order_id, row.courier, row.code) for row in found]


def clear(desk: Engine) -> None:
    """Take the shipments of the example before away."""
    with desk.begin() as connection:
        for table in ("order_history", "shipments"):
            connection.execute(text(f"DELETE FROM {table}"))


def test_every_row_of_a_shipment_file_is_taken_or_told(desk: Engine, looking: Looking) -> None:
    ids = with_orders(desk)

    def check(example: tuple[Written, bool]) -> None:
        file, strict = example
        looking.counts["rows"] += len(file.rows)
        clear(desk)
        taken = take_file(desk, file.content, strict=strict, overwrite=False, now=NOW)
        shipments = kept(desk)
        assert len(shipments) == taken.added == len(taken.shipment_ids) - taken.known
        bad_lines = {row.line for row in taken.bad}
        assert all(row.reason.isprintable() for row in taken.bad)
        if strict and taken.bad:
            assert not shipments
            return
        for line, written in file.rows:
            if any(cell.strip() for cell in written) and line not in bad_lines:
                order, courier, code = (seen(cell) for cell in written[:3])
                assert (ids[order], courier, code) in shipments
        again = take_file(desk, file.content, strict=strict, overwrite=False, now=NOW)
        assert (again.added, again.bad, kept(desk)) == (0, taken.bad, shipments)

    looking.run(st.tuples(csv_files() | workbooks(), st.booleans()), check, short=40)


def test_a_good_row_is_taken_whatever_stands_beside_it(desk: Engine, looking: Looking) -> None:
    ids = with_orders(desk)

    def check(file: Written) -> None:
        clear(desk)
        taken = take_file(desk, file.content, strict=False, overwrite=False, now=NOW)
        lines = {row.line for row in taken.bad}
        for line, (order, courier, code, url, shipped_at) in file.rows:
            is_plain = (
                re.fullmatch(r"[A-Z][0-9]{1,19}", code) and courier == "DPD" and not (url or shipped_at)
            )
            if order in ids and is_plain:
                assert line not in lines
                assert (ids[order], courier, code) in kept(desk)

    looking.run(csv_files(), check, short=20)


def test_any_bytes_are_rows_or_a_clear_error(desk: Engine, looking: Looking) -> None:
    with_orders(desk)

    def check(example: tuple[bytes, bool]) -> None:
        content, strict = example
        clear(desk)
        try:
            taken = take_file(desk, content, strict=strict, overwrite=False, now=NOW)
        except ShipmentFileError as error:
            assert re.match(r"the file |line \d+ ", str(error))
            taken = Taken([], 0, 0, [], set())
        assert len(kept(desk)) == taken.added
        assert all(1 <= row.line <= content.count(b"\n") + content.count(b"\r") + 1 for row in taken.bad)

    looking.run(st.tuples(broken_files, st.booleans()), check, short=40)


def test_every_dropped_file_is_moved_with_all_its_bytes(desk: Engine, looking: Looking) -> None:
    with_orders(desk)

    def check(example: tuple[list[bytes], bool]) -> None:
        contents, strict = example
        clear(desk)
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            for number, content in enumerate(contents):
                (folder / f"{number}.csv").write_bytes(content)
            later = datetime.now(UTC) + timedelta(minutes=1)
            results = take_folder(desk, folder, strict=strict, now=later)
            assert [result.moved_to.read_bytes() for result in results] == contents
            assert not list(folder.glob("*.csv"))
            for result in results:
                errors = result.moved_to.with_name(f"{result.moved_to.stem}.errors.txt")
                assert errors.exists() == bool(result.problem or result.taken.bad)
                assert errors.exists() == (result.moved_to.parent.name == "failed")
            assert len(kept(desk)) == sum(result.taken.added for result in results)

    files = st.lists(broken_files | csv_files().map(lambda file: file.content), max_size=3)
    looking.run(st.tuples(files, st.booleans()), check, short=20)


map_words = st.one_of(
    st.sampled_from(
        ("*", "(skip)", "(stop)", "(pass)", "a = b", "=", "front", "FRONT", "ß", "SS", "\x00", HUGE, "")
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
map_rows = st.tuples(
    st.sampled_from(("acme", "Acme", "")) | map_words,
    st.sampled_from(("print location", "print sku", "Carrier")) | map_words,
    map_words,
    map_words,
)


@st.composite
def map_files(draw: st.DrawFn) -> str:
    """Draw a maps file as CSV, and nearly so."""
    shown = io.StringIO(newline="")
    writer = csv.writer(shown, lineterminator=draw(st.sampled_from(("\n", "\r\n", "\r"))))
    writer.writerow(("fulfiller", "map", "from", "to"))
    writer.writerows(draw(st.lists(map_rows, max_size=6)))
    written, place = shown.getvalue(), draw(st.integers(0, 1000))
    noise = draw(st.sampled_from(("", "", '"', "\r", "\n", "\x00", ",x,y", "\ufeff")))
    at = place % len(written)
    return written[:at] + noise + written[at:]


yaml_files = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            (
                "maps:\n",
                "- fulfiller: acme\n",
                "  map: carrier\n",
                "  lines:\n",
                "  - a = b\n",
                "  - a = c\n",
                "  - [1]\n",
                "  default: ",
                "  missing: stop\n",
                "  skip: [x]\n",
                "{",
                "[" * 500,
                "&a ",
                "*a ",
                "? ",
                "\t",
                "\x00",
                "!!x ",
            )
        ),
        max_size=8,
    ).map("".join),
)


def test_a_maps_file_is_maps_or_errors_with_their_lines(desk: Engine, looking: Looking) -> None:
    def check(example: tuple[str, bool]) -> None:
        written, is_csv = example
        try:
            forms = load_maps(written, is_csv=is_csv)
        except RulesFileError as error:
            assert all(re.match(r"line \d+: ", line) for line in str(error).split("\n"))
            return
        looking.counts["maps"] += len(forms)
        save_maps(desk, forms)
        saved = [saved.form for saved in list_maps(desk)]
        assert all(form.model_copy(update={}) in saved for form in forms)
        for form in forms:
            same = [other for other in forms if other.fulfiller.casefold() == form.fulfiller.casefold()]
            assert read_maps(desk, form.fulfiller) == maps_of(same)

    looking.run(
        st.tuples(map_files(), st.sampled_from([True])) | st.tuples(yaml_files, st.sampled_from([False])),
        check,
        short=60,
    )


def test_the_words_of_a_maps_file_are_kept_exactly(looking: Looking) -> None:
    plain = st.from_regex(r"[0-9A-Za-z=+;,\"'/-]{1,12}", fullmatch=True)

    def check(pairs: Sequence[tuple[str, str]]) -> None:
        shown = io.StringIO(newline="")
        writer = csv.writer(shown)
        writer.writerows(
            [("fulfiller", "map", "from", "to"), *(("acme", "carrier", *pair) for pair in pairs)]
        )
        (form,) = load_maps(shown.getvalue(), is_csv=True)
        found = maps_of([form])[form.map]
        assert {from_: found.find(from_) for from_, _ in pairs} == dict(pairs)

    froms = plain.filter(lambda word: "=" not in word)
    pairs = st.lists(
        st.tuples(froms, plain), min_size=1, max_size=5, unique_by=lambda pair: pair[0].casefold()
    )
    looking.run(pairs, check, short=60)
