"""What a Docker builder would get of a checkout, by the rules of ``.dockerignore``, and what it copies."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deployments" / "compose" / "Dockerfile"


class Rule(NamedTuple):
    """A line of ``.dockerignore``: what it matches, and whether that is sent after all."""

    pattern: re.Pattern[str]
    is_exception: bool


def read_rules(place: Path) -> list[Rule]:
    """Return the rules of a checkout."""
    lines = (line.strip() for line in (place / ".dockerignore").read_text("utf-8").splitlines())
    return [
        Rule(_compiled(line.lstrip("!").strip("/")), line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    ]


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        re.sub(r"\*\*/|\*\*|[*?]|[^*?]+", lambda found: parts.get(found[0], re.escape(found[0])), pattern)
    )


def is_sent(name: str, rules: list[Rule]) -> bool:
    """Return whether a file is part of the build context: by the last rule that matches."""
    path = PurePosixPath(name)
    names = [str(path), *(str(parent) for parent in path.parents if parent.name)]
    sent = True
    for rule in rules:
        if any(rule.pattern.fullmatch(each) for each in names):
            sent = rule.is_exception
    return sent


def copy_context(checkout: Path, context: Path) -> None:
    """Copy what a builder is sent, links as links."""
    rules = read_rules(checkout)
    for path in checkout.rglob("*"):
        name = str(path.relative_to(checkout))
        if (path.is_symlink() or path.is_file()) and is_sent(name, rules):
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, context / name, follow_symlinks=False)


def dockerfile() -> list[str]:
    """Return the instructions of the Dockerfile, each on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    return re.sub(r"\\\n\s*", "", text).splitlines()


def copies(context: Path, stage: Path, *, stage_name: str) -> None:
    """Do the COPY instructions of a stage that take from the build context."""
    lines = dockerfile()
    start = next(number for number, line in enumerate(lines) if line.endswith(f" AS {stage_name}"))
    for line in lines[start + 1 :]:
        if line.startswith("FROM "):
            break
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            for source in sources:
                _copy(context / source, stage / target)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
