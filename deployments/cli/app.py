"""The command line `desk`: its topics, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from deployments.cli import (
    alerting,
    backfills,
    changes,
    copying,
    editing,
    folders,
    fulfillers,
    history,
    imports,
    integrations,
    keeping,
    maps,
    orders,
    privacy,
    production,
    reconciling,
    rules,
    sending,
    shipping,
    sync,
    system,
    tokens,
    watching,
    web,
)
from deployments.cli.exit_codes import STOPPED, end_on_sigterm, exit_code_of, lines_of
from deployments.cli.output import say, show, take_all_text
from deployments.stack.running_system import use_running_system
from models.errors import ExitCode

TOPICS = (
    system,
    web,
    integrations,
    imports,
    backfills,
    copying,
    keeping,
    orders,
    editing,
    changes,
    folders,
    rules,
    maps,
    fulfillers,
    sending,
    shipping,
    production,
    sync,
    reconciling,
    history,
    watching,
    alerting,
    tokens,
    privacy,
)

app = typer.Typer(
    name="desk",
    help="Import podOS orders into your own order desk, and look after them there.",
    epilog="Example: desk orders --folder New",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # lines of a docstring flow together
    pretty_exceptions_enable=False,
)
for topic in TOPICS:
    topic.register(app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        show(f"podos-order-desk {version('podos-order-desk')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    end_on_sigterm()
    take_all_text(sys.stdout)
    take_all_text(sys.stderr)
    if told := use_running_system(sys.argv[1] if len(sys.argv) > 1 else ""):
        say(told)
    sys.exit(run())


def run(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an error is told in a sentence on stderr.

    Args:
        args: the arguments after ``desk``; None takes those of the process.
    """
    try:
        result = app(args=args, prog_name="desk", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as end:  # Typer's own way out when the reader of stdout has left
        if isinstance(end.__context__, BrokenPipeError):
            return _reader_left()
        raise
    except BaseException as error:  # the last stop of every error
        if not isinstance(error, Exception) and exit_code_of(error) not in STOPPED:
            raise
        return _told(error)
    code = result if isinstance(result, int) else 0
    if code == ExitCode.INTERRUPTED:
        return _told(KeyboardInterrupt())
    return code


def _told(error: BaseException) -> int:
    """Tell the operator about an error and return the exit code."""
    if isinstance(error, typer.Abort):  # a question got no answer, or Ctrl-C at one
        error = KeyboardInterrupt()
    if isinstance(error, typer.TyperException):
        text = error.format_message().replace("Value error, ", "")
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            say(*text.splitlines())
        else:
            hint = f". See: {context.command_path} --help" if context else ""
            say(f"Error: {text.rstrip('.')}{hint}")
        return ExitCode.BAD_INPUT
    say(*lines_of(error))
    return exit_code_of(error)


def _reader_left() -> int:
    """End quietly: whoever read our output had enough (`desk orders export | head -1`)."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
    return 0
