"""Pages that runs leave in Prefect, as artifacts. Each part takes any text; none of it acts as Markdown."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_UI_URL

from tasks.text_cells import markdown_cell

logger = logging.getLogger(__name__)


class Page:
    """A page of headings, lines, tables and lists, in the sequence in which they are added."""

    def __init__(self, title: str) -> None:
        self._blocks = [f"# {markdown_cell(title)}"]

    def __str__(self) -> str:
        """Return the page as Markdown."""
        return "\n\n".join(self._blocks) + "\n"

    def section(self, title: str) -> None:
        """Begin a section."""
        self._blocks.append(f"## {markdown_cell(title)}")

    def line(self, text: str) -> None:
        """Add a paragraph of one line."""
        self._blocks.append(markdown_cell(text))

    def more(self, total: int, shown: int) -> None:
        """Say how many are not shown, if any."""
        if total > shown:
            self.line(f"... and {total - shown} more")

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Collection[str] = ()
    ) -> None:
        """Add a table; None is an empty cell.

        Args:
            columns: their titles.
            rows: a value for each column.
            numbers: the titles of columns that are aligned to the right.
        """
        marks = ["---:" if column in numbers else "---" for column in columns]
        lines = [_row(columns), f"| {' | '.join(marks)} |", *map(_row, rows)]
        self._blocks.append("\n".join(lines))

    def bullets(self, texts: Iterable[str]) -> None:
        """Add a list."""
        self._blocks.append("\n".join(f"- {markdown_cell(text)}" for text in texts))


def _row(values: Sequence[object]) -> str:
    return "| " + " | ".join("" if value is None else markdown_cell(value) for value in values) + " |"


async def publish(page: Page, *, key: str, description: str) -> None:
    """Make a page an artifact of the flow run and log its address; outside of a run there is no place for it.

    Args:
        page: what it shows.
        key: small letters, digits and dashes; Prefect keeps the versions of a key together.
        description: one line, which Prefect shows as Markdown as well.
    """
    if FlowRunContext.get() is None:
        return
    artifact = await acreate_markdown_artifact(
        markdown=str(page), key=key, description=markdown_cell(description)
    )
    if pages := PREFECT_UI_URL.value():
        logger.info("the whole report: %s/artifacts/artifact/%s", pages, artifact)
