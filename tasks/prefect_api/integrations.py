"""The connected podOS projects: Prefect Blocks, by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from pydantic import ValidationError

from models.blocks import OWN_FIELDS, Integration
from models.errors import AppError, ExitCode
from models.production import TellProduction
from tasks.podos.client import PodosAccess


class IntegrationError(AppError):
    """An integration can't be used; the text says what to do."""

    exit_code = ExitCode.BAD_INPUT


class UnknownIntegrationError(IntegrationError):
    """There is no integration of that name."""


class UnknownOrdersError(IntegrationError):
    """podOS does not know some of the orders that a person named."""


async def integration_names() -> list[str]:
    """Return the names of all connected integrations, sorted."""
    async with get_client() as client:
        return await names_at(client)


async def names_at(client: PrefectClient) -> list[str]:
    """Return the names of all integrations of a Prefect server, sorted."""
    try:
        documents = await client.read_block_documents_by_type(_slug(), include_secrets=False)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 404:  # 404: no block of this type was ever saved
            raise
        return []
    return sorted(document.name for document in documents if document.name)


async def load_integration(name: str) -> Integration:
    """Return a connected integration.

    Raises:
        UnknownIntegrationError: there is none of that name.
        IntegrationError: its saved settings are not valid any more.
    """
    try:
        return Integration.model_validate(await load_settings(name))
    except ValidationError as error:
        raise IntegrationError(
            f"the settings of integration {name!r} are not valid: {problems_of(error)}"
        ) from None


async def load_settings(name: str) -> dict[str, Any]:
    """Return an integration's settings as they are saved, valid or not, the token among them.

    Raises:
        UnknownIntegrationError: there is none of that name.
    """
    async with get_client() as client:
        try:
            document = await client.read_block_document_by_name(name, _slug(), include_secrets=True)
        except ObjectNotFound:
            document = None
    if document is None:
        names = await integration_names()
        known = f"connected are: {', '.join(names)}" if names else "none is connected yet"
        message = (
            f"there is no integration {name!r}; {known}. Connect it with: desk connect {name} --project P"
        )
        raise UnknownIntegrationError(message)
    return {field: value for field, value in document.data.items() if field in OWN_FIELDS}


async def production_reporting() -> dict[str, TellProduction]:
    """Return when the beginning of production is sent to podOS, by integration, without invalid ones."""
    found = {}
    for name in await integration_names():
        with suppress(IntegrationError):  # the last look says what is wrong with it
            found[name] = (await load_integration(name)).tell_production
    return found


async def switch_off_production(name: str) -> None:
    """Save that statuses of production are no longer sent. Safe to repeat."""
    integration = await load_integration(name)
    integration.tell_production = TellProduction.OFF
    await save_integration(name, integration)


async def save_integration(name: str, integration: Integration) -> None:
    """Save an integration under a name, over an earlier one."""
    await integration.save(name, overwrite=True)


def problems_of(error: ValidationError, block: type[Block] = Integration) -> str:
    """Return each invalid field with its problem, by the field's title; no values of secrets."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = [str(part) for part in problem["loc"]]
        field = block.model_fields.get(place[0]) if place else None
        title = field.title if field and field.title else ".".join(place)
        text = words_of(problem)
        problems.append(text if text.startswith(title) else f"{title}: {text}")
    return "; ".join(dict.fromkeys(problems))


def words_of(problem: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, without the pattern that it does not match."""
    if problem["type"] == "string_pattern_mismatch":
        return "it has a character that can't be in it"
    return str(problem["msg"]).removeprefix("Value error, ")


def access_of(integration: Integration) -> PodosAccess:
    """Return how podOS is entered for an integration."""
    return PodosAccess(
        base_url=integration.base_url,
        project=integration.project,
        token=integration.api_token.get_secret_value(),
        authorization=integration.authorization,
    )


def _slug() -> str:
    return Integration.get_block_type_slug()
