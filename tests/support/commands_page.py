"""Write docs/commands.md from the program itself: ``make commands``."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click

from deployments.cli.app import app
from tests.support.documentation import ROOT

COMMANDS = ROOT / "docs" / "commands.md"
_FOREWORD = """\
What `desk --help` and `desk COMMAND --help` say, written by `make commands`. NAME is the integration,
`default` if it is left out; here is [how an ORDER is named](shipping.md#how-an-order-is-named), and what the
[exit codes](../README.md#exit-codes) mean.
"""


def commands_page() -> str:
    """Return the page as Markdown: every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="desk", title="Commands")
    # Blocks marked as console are examples that the tests run.
    title, rest = text.replace("```console", "```text").split("\n", 1)
    lines = (line.rstrip() for line in f"{title}\n\n{_FOREWORD}{rest}".rstrip().splitlines())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    COMMANDS.write_text(commands_page(), "utf-8")
