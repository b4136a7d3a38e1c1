"""The documentation as tests read it: pages, tables, links, and the examples in blocks marked ``console``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_SAME_FOR_ALL = (
    (re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00)?)?"), "DATE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"─+"), "─"),
    (re.compile(r" +"), " "),
)


class Example(NamedTuple):
    """A command that a page shows, and the output it shows for it."""

    page: Path
    command: str
    output: str

    def __str__(self) -> str:
        """Name it for the list of tests."""
        return f"{self.page.name}: {self.command.split(chr(10), 1)[0][:60]}"


def page(name: str) -> str:
    """Return a page's text by its path from the root."""
    return (ROOT / name).read_text("utf-8")


def everything() -> str:
    """Return all pages as one text."""
    return "\n".join(path.read_text("utf-8") for path in PAGES)


def without_blocks(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row of a page, headings included."""
    lines = (line.strip() for line in without_blocks(text).splitlines())
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if line.startswith("|")
    ]


def codes(cell: str) -> list[str]:
    """Return what stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match, f"there is no heading {heading!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def links(path: Path) -> list[str]:
    """Return the targets of a page's links."""
    return _LINK.findall(without_blocks(path.read_text("utf-8")))


def anchors(path: Path) -> set[str]:
    """Return the names under which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def examples() -> Iterator[Example]:
    """Give every example of every block marked ``console``."""
    for path in PAGES:
        for language, text in _FENCE.findall(path.read_text("utf-8")):
            if language == "console":
                yield from _examples_of(path, text)


def _examples_of(path: Path, text: str) -> Iterator[Example]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if lines[starts[0]] == "$ make demo":  # it shows the commands that it runs
        starts = starts[:1]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        size = next(size for size in range(1, end - start + 1) if _is_whole(lines[start : start + size]))
        command = "\n".join(lines[start : start + size]).removeprefix("$ ")
        yield Example(path, command, "\n".join(lines[start + size : end]))


def _is_whole(lines: list[str]) -> bool:
    try:
        shlex.split("\n".join(lines))
    except ValueError:  # a quotation is still open
        return False
    return True


def code_blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [block for marked, block in _FENCE.findall(text) if marked == language]


def shell_commands() -> Iterator[tuple[Path, str]]:
    """Give what pages show of shell commands: whole blocks, indented ones, and what stands in backticks."""
    for path in PAGES:
        text = path.read_text("utf-8")
        rest = without_blocks(text)
        blocks = [block for language in ("sh", "console") for block in code_blocks(text, language)]
        blocks += re.findall(r"(?:^ {4}\S.*\n?)+", rest, re.MULTILINE)
        for block in blocks + codes(re.sub(r"\n\s*", " ", rest)):
            yield path, block


def is_shown_by(shown: str, output: str) -> bool:
    """Return whether a page shows an output: a line ``...`` stands for any lines, dates and ports for any."""
    pattern = "".join(
        r"(.*\n)*?" if line == "..." else re.escape(f"{line}\n") for line in plain(shown).splitlines()
    )
    return re.fullmatch(pattern, plain(output)) is not None


def plain(text: str) -> str:
    """Return an output without what differs from run to run, and without empty lines."""
    for pattern, stand_in in _SAME_FOR_ALL:
        text = pattern.sub(stand_in, text)
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)
