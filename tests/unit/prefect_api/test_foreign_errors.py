"""What ends a step, and what the HTTP library logs, is in this program's own words."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import pickle
import pkgutil
import traceback
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prefect.flows import Flow
from prefect.tasks import Task

import flows
import tasks
from models.forms import ManualImport
from tasks.desk.errors import DeskError
from tasks.http_logs import keep_answers_out_of_logs
from tasks.prefect_api.foreign_errors import FaultError, in_own_words

NAME = "Zoë Kanarienvogel"


async def step(error: BaseException) -> None:
    """Fail as a step can: with an error that followed from another one."""
    known: dict[str, str] = {}
    try:
        known[NAME] += NAME
    except KeyError as first:
        raise error from first


def ended_by(error: BaseException) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        asyncio.run(in_own_words(step)(error))
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"invalid literal for int(): {NAME!r}"),
        KeyError(NAME),
        OSError(2, "No such file", f"/drop/{NAME}.csv"),
        UnicodeDecodeError("utf-8", NAME.encode(), 0, 1, NAME),
        ExceptionGroup(NAME, [ValueError(NAME)]),
    ],
)
def test_a_foreign_error_is_told_by_its_kind_and_place(error: Exception) -> None:
    fault = ended_by(error)
    assert isinstance(fault, FaultError)
    assert str(fault).startswith(f"unexpected {type(error).__name__}")
    told = "".join(traceback.format_exception(fault)) + str(pickle.dumps(fault)) + repr(vars(fault))
    assert "Kanarienvogel" not in told
    assert "in step" in told  # where it happened can still be seen


def test_what_the_operating_system_calls_an_error_is_told() -> None:
    fault = ended_by(OSError(28, NAME, NAME))
    assert str(fault).startswith("unexpected OSError (No space left on device)")


def test_our_own_errors_pass_without_what_they_followed_from() -> None:
    error = DeskError("the desk is busy")
    fault = ended_by(error)
    assert fault is error
    told = "".join(traceback.format_exception(fault))
    assert "the desk is busy" in told
    assert NAME not in told


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), RuntimeError("Failed to reach API at x")])
def test_what_is_about_the_prefect_server_passes(error: Exception) -> None:
    assert ended_by(error) is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_stops_a_step_passes(error: BaseException) -> None:
    assert type(ended_by(error)) is type(error)


def steps() -> Iterator[Any]:
    """Every flow and task there is."""
    for package in (flows, tasks):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(found.name)).values():
                if isinstance(value, (Flow, Task)):
                    yield value


def test_every_flow_and_task_ends_in_own_words() -> None:
    found = {value.name: value for value in steps()}
    assert len(found) > 15
    code = in_own_words(step).__code__
    assert [name for name, value in found.items() if value.fn.__code__ is not code] == []


def test_a_worded_function_keeps_its_parameters() -> None:
    from flows.manual_import import manual_import

    assert inspect.signature(manual_import.fn).parameters["request"].annotation is ManualImport
    assert manual_import.fn.__doc__


# --- The logs of the HTTP library ---------------------------------------------------------------------------


def test_no_header_phrase_or_path_of_an_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    keep_answers_out_of_logs()
    keep_answers_out_of_logs()
    with caplog.at_level(logging.DEBUG):
        for name in ("http11", "http2", "proxy", "socks", "connection"):
            caplog.set_level(logging.DEBUG, logger=f"httpcore.{name}")
            logger = logging.getLogger(f"httpcore.{name}")
            logger.debug(f"receive_response_headers.complete return_value=(b'HTTP/1.1', 400, b'{NAME}')")
            logger.debug(f"receive_response_headers.failed exception=RemoteProtocolError('{NAME}\n{NAME}')")
        line = 'HTTP Request: %s %s "%s %d %s"'
        url = httpx.URL(f"https://store.example.test/orders/{NAME}/shipments?x={NAME}")
        logging.getLogger("httpx").info(line, "GET", url, "HTTP/1.1", 400, NAME)
        logging.getLogger("httpx").info(line, "GET", url, "HTTP/1.1", 799, NAME)
    said = [record.getMessage() for record in caplog.records]
    assert "Kanarienvogel" not in str(said)
    assert said[:2] == [
        "receive_response_headers.complete",
        "receive_response_headers.failed exception=RemoteProtocolError",
    ]
    assert said[-2] == 'HTTP Request: GET https://store.example.test "HTTP/1.1 400 Bad Request"'
