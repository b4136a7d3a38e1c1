"""Every error has its exit code and its sentence."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from datetime import date

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

import deployments
import flows
import models
import tasks
from deployments.cli.exit_codes import exit_code_of, message_of
from models.errors import AppError, ExitCode
from tasks.desk.errors import DeskError, DeskRefusedError, DeskSettingsError, RetriableDeskError
from tasks.podos.errors import (
    FatalPodosError,
    RetriablePodosError,
    TokenRefusedError,
    UnknownProjectError,
    WrongAnswerError,
)


class Settings(BaseModel):
    """Settings such as an integration's."""

    model_config = ConfigDict(hide_input_in_errors=True)

    first_import_date: date
    api_token: SecretStr = Field(max_length=5)

    @field_validator("first_import_date")
    @classmethod
    def _has_come(cls, value: date) -> date:
        if value.year > 2100:
            raise ValueError("the date is in the future")
        return value


def invalid(**values: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    return caught.value


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TokenRefusedError("no"), 3),
        (UnknownProjectError("no"), 4),
        (RetriablePodosError("away"), 5),
        (WrongAnswerError("html"), 1),
        (FatalPodosError("no"), 1),
        (DeskSettingsError("newer"), 2),
        (DeskRefusedError("no such order"), 2),
        (RetriableDeskError("locked"), 1),
        (DeskError("broken"), 1),
        (RuntimeError("anything"), 1),
        (OSError("anything"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code
    if isinstance(error, Exception):
        assert exit_code_of(ExceptionGroup("several", [error, ValueError("x")])) == code


def test_settings_errors_are_bad_input() -> None:
    assert exit_code_of(invalid()) == ExitCode.BAD_INPUT


def test_a_more_special_error_counts_as_its_nearest_base() -> None:
    class NoSuchFolderError(DeskRefusedError):
        pass

    assert exit_code_of(NoSuchFolderError("x")) == ExitCode.BAD_INPUT


def errors_of_the_program() -> list[type[BaseException]]:
    """Every error class of the program's own."""
    found = []
    for package in (deployments, flows, models, tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if (
                module.name.startswith(("deployments.sandbox", "models.migrations"))
                or "__main__" in module.name
            ):
                continue
            for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if issubclass(kind, BaseException) and kind.__module__ == module.name:
                    found.append(kind)
    return found


def test_every_error_of_the_program_says_how_a_command_ends() -> None:
    inner = {"ProductionRefusedError", "Terminated", "_AwayError", "_NoClearAnswerError"}
    assert {kind.__name__ for kind in errors_of_the_program() if not issubclass(kind, AppError)} <= inner
    assert all(
        isinstance(kind.exit_code, ExitCode) for kind in errors_of_the_program() if issubclass(kind, AppError)
    )


def test_what_the_same_again_can_mend_is_retriable() -> None:
    retriable = {kind for kind in errors_of_the_program() if getattr(kind, "retriable", False)}
    assert retriable == {RetriablePodosError, RetriableDeskError}


def test_settings_errors_are_told_by_field_without_values() -> None:
    text = message_of(invalid(first_import_date="2200-01-01", api_token="sEcReT-token"))
    first, second = text.splitlines()
    assert first == "first_import_date: the date is in the future"
    assert second.startswith("api_token: ")
    assert "sEcReT" not in text


def test_our_errors_are_told_in_their_own_sentence() -> None:
    assert message_of(DeskRefusedError("the desk has no order 'A-1'")) == "the desk has no order 'A-1'"
    podos = TokenRefusedError("podOS refused the token", project="acme", asked="GET /v1/projects", status=401)
    assert message_of(podos) == "podOS refused the token (GET /v1/projects, project acme, HTTP 401)"


def test_an_unexpected_error_says_what_and_where_in_one_line() -> None:
    with pytest.raises(KeyError) as caught:
        dict[str, str]()["folder\nsecond line"]
    text = message_of(caught.value)
    assert text.startswith("unexpected KeyError in test_exit_codes.py, line ")
    assert "\n" not in text


def test_an_empty_error_still_says_something() -> None:
    assert message_of(ValueError()) == "unexpected ValueError: no more is known"


def test_a_file_error_names_the_file() -> None:
    assert message_of(PermissionError(13, "Permission denied", "/x/y")) == "/x/y: Permission denied"


def test_a_prefect_server_that_went_away_is_named() -> None:
    from prefect.client.orchestration import PrefectClient

    async def ask() -> None:
        async with PrefectClient("http://127.0.0.1:9/api") as client:
            await client.raise_for_api_version_mismatch()

    with pytest.raises(RuntimeError) as caught:
        asyncio.run(ask())
    assert message_of(caught.value).startswith("the Prefect server could not be used (RuntimeError): start")
