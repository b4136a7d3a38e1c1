"""YAML read with its line numbers, and the errors of a file told with them. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from models.errors import AppError, ExitCode

MAX_FILE_BYTES = 4_000_000
MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 20
"""A rules file has seven levels. PyYAML looks at all that are open for every sign that it reads."""
Path = tuple[int | str, ...]
_Form = TypeVar("_Form", bound=BaseModel)


class RulesFileError(AppError):
    """A rules or maps file can't be used; the text has a line ``line N: problem`` for each problem."""

    exit_code = ExitCode.BAD_INPUT

    is_list = True


class Located(NamedTuple):
    """The values of a YAML file, and the line on which each stands by its path."""

    value: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """Return the line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str) -> Located:
    """Return what a YAML text holds; numbers stay the text they were written as (``007``, ``NO``, ``1e3``).

    Raises:
        RulesFileError: it is not YAML, says a key twice, uses anchors, or is too long.
    """
    check_length(text)
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RulesFileError(f"line {line}: this is not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise RulesFileError("line 1: this is not YAML that can be read") from None
    located = Located(None, {})
    return located._replace(value=None if root is None else _value(root, (), located.lines))


def _check_events(text: str) -> None:
    """Refuse what makes a file longer than it looks, or so deep that PyYAML takes very long to read it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise RulesFileError("line 1: anchors and aliases (`&name`, `*name`) are not possible here")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise RulesFileError(f"line {line}: it is nested too deep")


def check_length(text: str) -> None:
    """Make sure that a text can be read in reasonable time.

    Raises:
        RulesFileError: it is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise RulesFileError(f"line 1: the file is longer than {MAX_CHARACTERS} characters")


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_value(inner, (*path, number), lines) for number, inner in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, inner in node.value:
            name = str(key.value)
            if name in found:
                raise RulesFileError(f"line {key.start_mark.line + 1}: {name!r} is said twice")
            found[name] = _value(inner, (*path, name), lines)
            lines[*path, name] = key.start_mark.line + 1
        return found
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool" and node.value.lower() in {"true", "false"}:
        return node.value.lower() == "true"
    return node.value


def validated(located: Located, form: type[_Form]) -> _Form:
    """Return a file as its form.

    Raises:
        RulesFileError: it does not fit; every problem with its line.
    """
    try:
        return form.model_validate(located.value)
    except ValidationError as error:
        problems = [
            (located.line_of(tuple(detail["loc"])), _words(detail))
            for detail in error.errors(include_url=False, include_input=True)
        ]
    raise told(problems)


def told(problems: list[tuple[int, str]]) -> RulesFileError:
    """Return the error that tells problems with their lines, in the sequence of the file."""
    found = sorted(set(problems))
    return RulesFileError("\n".join(f"line {line}: {' '.join(problem.split())}" for line, problem in found))


def near(word: str, known: list[str]) -> str:
    """Return a hint at the known word that was probably meant, or nothing."""
    found = get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _words(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if isinstance(part, str))
    if error["type"] == "extra_forbidden":
        return f"there is no {str(error['loc'][-1])!r} here"
    if error["type"] == "missing":
        return f"{error['loc'][-1]} is missing"
    if error["type"] == "string_type" and isinstance(error["input"], dict):
        return f"{place}: this must be one line of text; put it into 'quotation marks' if it has a colon"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
