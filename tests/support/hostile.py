"""Text that strangers would plant: what acts in Markdown, steers a terminal, or is a formula."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from markdown_it import MarkdownIt
from sqlalchemy import JSON, Column, Engine, Table, Text, select, update
from sqlalchemy.types import TypeDecorator, TypeEngine

from models.tables import metadata

HOSTILE = (
    "=cmd|'/c calc'!A1\r\nFolder:     Closed\n\x1b[2J\x9b31m\u202eesrever\u2066[red]x[/red]\u2028\u00a0"
    "![x](http://evil.example/p.png) [Token expired: sign in](http://evil.example/) https://evil.example/a "
    '<img src=http://evil.example/i.png> www.evil.example `c` **b** | a | b |;=1+1\t@x\n-1\r# H\n\n- "i;"=2'
)
PLAIN = "plain"
KEPT = {
    "api_tokens": {"scope"},
    "alembic_version": {"version_num"},
    "backfill_windows": {"state", "flow_run_id"},
    "fulfiller_maps": {"map", "definition"},
    "handovers": {"state"},
    "import_runs": {"kind", "state", "counts"},
    "leases": {"name"},
    "order_changes": {"kind", "state"},
    "production_states": {"status", "state"},
    "rule_events": {"event"},
    "rules": {"event", "definition"},
    "shipments": {"state"},
    "watches": {"cause"},
}
"""Columns whose words are this program's own, or a file's that a person loads (``definition``)."""


def plant(engine: Engine, text: str) -> None:
    """Write a text, with the row's number behind it, into every text column of every row of the desk."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.name not in KEPT.get(table.name, set()) and isinstance(_stored(column), (Text, JSON)):
                _plant(engine, table, column, text)


def _stored(column: Column[Any]) -> TypeEngine[Any]:
    """Return what a column is in the database: text stands behind types of the project's own."""
    kind = column.type
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _plant(engine: Engine, table: Table, column: Column[Any], text: str) -> None:
    keys = list(table.primary_key.columns)
    with engine.begin() as connection:
        for number, row in enumerate(connection.execute(select(*keys)).all(), 1):
            mine = [key == value for key, value in zip(keys, row, strict=True)]
            value: Any = f"{text} {number}"
            if isinstance(_stored(column), JSON):
                notes = {"packing_notes": [{"text": value}], "additional_files": [{"name": value}]}
                value = notes if column.name == "extras" else {value: value}
            connection.execute(update(table).where(*mine).values({column: value}))


COMMON = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARMLESS = {
    *("heading", "paragraph", "inline", "text", "bullet_list", "list_item"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
AUTOLINK = re.compile(r"(?:https?|ftp)://|www\.|[\w.+-]+@[\w-]", re.IGNORECASE)
"""What Prefect's pages make a link of, without any Markdown; ``tests/e2e/test_hostile_pages.py`` sees it."""


def kinds(markdown: str) -> dict[str, int]:
    """Return what a reader of Markdown finds in a page, and how often."""
    tokens = COMMON.parse(markdown)
    found: dict[str, int] = {}
    for token in (*tokens, *(child for outer in tokens for child in outer.children or [])):
        kind = re.sub("_(open|close)$", "", token.type)
        found[kind] = found.get(kind, 0) + 1
    return found


def shown(markdown: str) -> list[str]:
    """Return the texts that a page shows, each on its own."""
    found = [token.children for token in COMMON.parse(markdown) if token.type == "inline"]
    return ["".join(child.content for child in children or []) for children in found]


def acts_on_a_terminal(text: str) -> Iterator[str]:
    """Give the names of characters that are more than a line of text."""
    for char in text:
        if char != "\n" and not char.isprintable():
            yield unicodedata.name(char, repr(char))
