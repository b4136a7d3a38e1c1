"""Connect a podOS project: merge what is given into what is saved, ask podOS, save."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from models.blocks import OWN_FIELDS, Integration, today
from models.web_address import PODOS_BASE_URL, is_loopback
from tasks.podos.client import find_authorization
from tasks.prefect_api.integrations import (
    IntegrationError,
    UnknownIntegrationError,
    access_of,
    load_settings,
    problems_of,
    save_integration,
)

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")

_FILTER = {"country_mode": "mode", "countries": "countries"}


def checked_name(name: str, what: str = "an integration") -> str:
    """Return the name of an integration (or what else it is) if it can be one.

    Raises:
        IntegrationError: it can't.
    """
    if not _NAME.fullmatch(name):
        raise IntegrationError(f"{name!r} can't be the name of {what}: use small letters, digits and dashes")
    return name


async def saved_fields(name: str) -> dict[str, Any]:
    """Return the saved settings of an integration, valid or not; empty if it is new."""
    try:
        return await load_settings(checked_name(name))
    except UnknownIntegrationError:
        return {}


async def connect(name: str, saved: dict[str, Any], given: dict[str, Any]) -> Integration:
    """Ask podOS whether project and token are right, then save the integration.

    Args:
        name: the integration's name.
        saved: its settings so far, empty for a new one.
        given: the settings to change, by field name; ``country_mode`` and ``countries`` for the filter's two.

    Raises:
        IntegrationError: a setting is not valid, or project or token is missing.
        PodosError: podOS refused, or can't be reached.

    Safe to repeat.
    """
    try:
        integration = Integration.model_validate(merged(saved, given))
    except ValidationError as error:
        raise IntegrationError(problems_of(error)) from None
    first = integration.first_import_date
    if first and first > today(integration.time_zone):
        raise IntegrationError(f"First Import Date {first} is in the future; give today or an earlier day")
    integration.authorization = (
        "bearer" if await find_authorization(access_of(integration)) == "bearer" else "raw"
    )
    await save_integration(name, integration)
    return integration


def merged(saved: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return all settings as plain values, ready for validation: the saved ones, changed by those given.

    Raises:
        IntegrationError: project or token is missing, or another project's token would go to a sandbox.
    """
    _refuse_a_sandbox_left_behind(saved, given)
    fields = {key: value for key, value in {**saved, **given}.items() if key not in _FILTER}
    filter_ = dict(saved.get("country_filter") or {})
    filter_ |= {_FILTER[key]: value for key, value in given.items() if key in _FILTER}
    fields["country_filter"] = filter_
    if not fields.get("project"):
        raise IntegrationError("a new integration needs --project P")
    if not fields.get("api_token"):
        raise IntegrationError("a new integration needs its API token: set PODOS_API_TOKEN")
    return fields


def _refuse_a_sandbox_left_behind(saved: dict[str, Any], given: dict[str, Any]) -> None:
    """Keep no address of this machine for another project: its token would be sent there."""
    address = str(saved.get("base_url") or "")
    is_here = is_loopback(urlsplit(address).hostname or "")
    if is_here and not given.get("base_url") and given.get("project") not in {None, saved.get("project")}:
        raise IntegrationError(
            f"the podOS Address is {address} on this machine, as a sandbox's is, and the token would go "
            f"there: add --base-url {PODOS_BASE_URL}, or --base-url {address} to stay"
        )


def shown(name: str, integration: Integration) -> dict[str, Any]:
    """Return an integration's settings for the eye: JSON-safe, the token masked."""
    fields = integration.model_dump(mode="json", include=set(OWN_FIELDS))
    fields["api_token"] = masked(integration.api_token)
    return {"name": name, **fields}


def masked(token: SecretStr) -> str:
    """Return a token as stars: nothing of it, not even its length."""
    return "********" if token.get_secret_value() else ""
