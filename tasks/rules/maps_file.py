"""Maps files, YAML or CSV: read, checked with line numbers, and made ready for use. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from pydantic import TypeAdapter, ValidationError

from models.maps import MapForm, MapKind, Maps, MapsFile, Missing, WordMap
from models.rules import Line
from tasks.rules.yaml_lines import RulesFileError, check_length, read_yaml, told, validated

CSV_COLUMNS = ("fulfiller", "map", "from", "to")
ANY_WORD = "*"
_LINE: TypeAdapter[str] = TypeAdapter(Line)
SKIP, STOP, PASS = "(skip)", "(stop)", "(pass)"


def load_maps(text: str, *, is_csv: bool) -> list[MapForm]:
    """Return the maps of a file.

    Args:
        text: the file.
        is_csv: CSV with the columns fulfiller, map, from, to; else YAML.

    Raises:
        RulesFileError: it can't be used; every problem with its line.
    """
    forms, lines = _from_csv(text) if is_csv else _from_yaml(text)
    problems: list[tuple[int, str]] = []
    seen: set[tuple[str, MapKind]] = set()
    for form, line in zip(forms, lines, strict=True):
        identity = (form.fulfiller.casefold(), form.map)
        if identity in seen:
            problems.append((line, f"there is already a {form.map} map of {form.fulfiller!r}"))
        seen.add(identity)
    if problems:
        raise told(problems)
    return forms


def word_map(form: MapForm) -> WordMap:
    """Return a map ready for use."""
    lines = {from_.casefold(): to for from_, to in map(_pair, form.lines)}
    return WordMap(lines, form.default, form.missing, frozenset(sku.casefold() for sku in form.skip))


def maps_of(forms: Iterable[MapForm]) -> Maps:
    """Return the maps of one fulfiller ready for use."""
    return {form.map: word_map(form) for form in forms}


def _pair(line: str) -> tuple[str, str]:
    from_, sign, to = (part.strip() for part in line.partition("="))
    if not (from_ and sign and to):
        raise ValueError(f"{line!r} is not a line `from = to`")
    return from_, to


def _from_yaml(text: str) -> tuple[list[MapForm], list[int]]:
    located = read_yaml(text)
    forms = validated(located, MapsFile).maps
    problems: list[tuple[int, str]] = []
    for number, form in enumerate(forms):
        known: set[str] = set()
        for place, line in enumerate(form.lines):
            at = located.line_of(("maps", number, "lines", place))
            try:
                word = _pair(line)[0].casefold()
            except ValueError as error:
                problems.append((at, str(error)))
                continue
            if word in known:
                problems.append((at, f"{word!r} has a line already; case does not count"))
            known.add(word)
    if problems:
        raise told(problems)
    return forms, [located.line_of(("maps", number)) for number in range(len(forms))]


def _from_csv(text: str) -> tuple[list[MapForm], list[int]]:
    check_length(text)
    forms: dict[tuple[str, str], tuple[MapForm, int]] = {}
    known: set[tuple[str, str, str]] = set()
    problems: list[tuple[int, str]] = []
    for line, (fulfiller, kind, from_, to) in _csv_lines(text):
        identity = (fulfiller.casefold(), kind.casefold())
        try:
            if identity not in forms:
                made = MapForm.model_validate({"fulfiller": fulfiller, "map": kind.lower()})
                forms[identity] = (made, line)
            _take(forms[identity][0], from_, to, is_known=(*identity, from_.casefold()) in known)
            if to != SKIP:
                known.add((*identity, from_.casefold()))
        except ValidationError as error:
            problems.append((line, _words(error)))
        except ValueError as error:
            problems.append((line, str(error)))
    if problems:
        raise told(problems)
    return [form for form, _ in forms.values()], [line for _, line in forms.values()]


def _csv_lines(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the values of ``CSV_COLUMNS`` of each row, with the line that it ends on."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True)
    try:
        if missing := [name for name in CSV_COLUMNS if name not in (reader.fieldnames or [])]:
            needed = ", ".join(CSV_COLUMNS)
            raise RulesFileError(f"line 1: the column {missing[0]} is missing; needed: {needed}")
        for row in reader:
            yield reader.line_num, tuple((row[name] or "").strip() for name in CSV_COLUMNS)
    except csv.Error:
        line, limit = reader.line_num + 1, csv.field_size_limit()
        raise RulesFileError(f"line {line}: a value is longer than {limit} characters") from None


def _take(form: MapForm, from_: str, to: str, *, is_known: bool) -> None:
    """Take one line of a CSV file into its map."""
    if not from_ or not to:
        raise ValueError("from and to must both be given")
    if from_ == ANY_WORD:
        if to in {STOP, PASS}:
            form.missing = Missing(to.strip("()"))
        else:
            form.default = _checked(to)
        return
    if to == SKIP:
        if form.map is not MapKind.PRINT_SKU:
            raise ValueError("only a `print sku` map has a skip list")
        form.skip.append(_checked(from_))
        return
    if "=" in from_:
        raise ValueError("from can't have an = in it")
    if is_known:
        raise ValueError(f"{from_.casefold()!r} has a line already; case does not count")
    form.lines.append(_checked(f"{from_} = {to}"))


def _checked(line: str) -> str:
    """Return a line as a map takes it; what YAML can't bring in, CSV can't either."""
    try:
        return _LINE.validate_python(line)
    except ValidationError as error:
        raise ValueError(_words(error)) from None


def _words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{first['loc'][-1]}: {message}" if first["loc"] else message
