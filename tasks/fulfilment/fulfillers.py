"""The fulfillers that orders can be sent to: Prefect Blocks, by name, and the ways that they open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from pydantic import ValidationError
from sqlalchemy import Engine

from models.fulfillers import (
    KINDS,
    FolderFormat,
    FolderFulfiller,
    Fulfiller,
    OrderDeskFulfiller,
    WebhookFulfiller,
    own_fields,
)
from tasks.fulfilment.channels.folder import Folder
from tasks.fulfilment.channels.interface import Channel, FulfillerError
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.channels.webhook import Webhook
from tasks.fulfilment.queue import promise_references
from tasks.prefect_api.integrations import problems_of
from tasks.prefect_api.pacing import RateLimiter


class UnknownFulfillerError(FulfillerError):
    """There is no fulfiller of that name."""


async def fulfiller_kinds() -> dict[str, str]:
    """Return the kind of every fulfiller by its name, sorted by name."""
    async with get_client() as client:
        return await kinds_at(client)


async def kinds_at(client: PrefectClient) -> dict[str, str]:
    """Return the kind of every fulfiller of a Prefect server by its name, sorted by name."""
    found: dict[str, str] = {}
    for kind, block in KINDS.items():
        slug = block.get_block_type_slug()
        try:
            documents = await client.read_block_documents_by_type(slug, include_secrets=False)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 404:  # 404: no block of this type was ever saved
                raise
            continue
        found |= {document.name: kind for document in documents if document.name}
    return dict(sorted(found.items()))


async def fulfiller_names() -> list[str]:
    """Return the names of all fulfillers, sorted."""
    return list(await fulfiller_kinds())


async def load_fulfiller(name: str) -> Fulfiller:
    """Return a fulfiller.

    Raises:
        UnknownFulfillerError: there is none of that name.
        FulfillerError: its saved settings are not valid any more.
    """
    for block in KINDS.values():
        if fields := await saved_fields(name, block):
            return checked_fulfiller(block, fields)
    names = await fulfiller_names()
    known = f"the fulfillers are: {', '.join(names)}" if names else "there is none yet"
    raise UnknownFulfillerError(f"there is no fulfiller {name!r}; {known}. Add one with: desk fulfillers add")


def checked_fulfiller(block: type[Fulfiller], fields: Mapping[str, Any]) -> Fulfiller:
    """Return a fulfiller of a kind with these settings.

    Raises:
        FulfillerError: one of them can't be used.
    """
    try:
        return block.model_validate(fields)
    except ValidationError as error:
        raise FulfillerError(problems_of(error, block)) from None


async def saved_fields(name: str, block: type[Fulfiller]) -> dict[str, Any]:
    """Return the saved settings of a fulfiller of a kind, secret included; empty if there is none."""
    async with get_client() as client:
        try:
            document = await client.read_block_document_by_name(
                name, block.get_block_type_slug(), include_secrets=True
            )
        except ObjectNotFound:
            return {}
    return {key: value for key, value in document.data.items() if key in own_fields(block)}


async def save_fulfiller(name: str, fulfiller: Fulfiller) -> None:
    """Save a fulfiller under a name, over an earlier one of the same kind.

    Raises:
        FulfillerError: one of another kind has the name.
    """
    kind = (await fulfiller_kinds()).get(name, fulfiller.kind)
    if kind != fulfiller.kind:
        raise FulfillerError(f"there is already a fulfiller {name!r}, of kind {kind}: choose another name")
    await fulfiller.save(name, overwrite=True)


async def remove_fulfiller(name: str) -> None:
    """Remove a fulfiller with its secret.

    Raises:
        UnknownFulfillerError: there is none of that name.
    """
    kind = (await fulfiller_kinds()).get(name)
    if kind is None:
        raise UnknownFulfillerError(f"there is no fulfiller {name!r}; see: desk fulfillers")
    async with get_client() as client:
        slug = KINDS[kind].get_block_type_slug()
        with suppress(ObjectNotFound):  # somebody else removed it just now
            document = await client.read_block_document_by_name(name, slug, include_secrets=False)
            await client.delete_block_document(document.id)


def open_channel(engine: Engine, name: str, fulfiller: Fulfiller) -> Channel:
    """Return the way to a fulfiller; to be called where an event loop runs, and closed at the end."""
    match fulfiller:
        case WebhookFulfiller():
            rate, previous = fulfiller.requests_per_second, fulfiller.previous_secret
            return Webhook(
                fulfiller.address,
                fulfiller.secret.get_secret_value(),
                previous_secret=previous.get_secret_value() if previous else None,
                timeout_seconds=fulfiller.timeout_seconds,
                connections=fulfiller.connections,
                refusal_fields=[name for name in fulfiller.refusal_fields.split(", ") if name],
                pace=RateLimiter(engine, f"fulfiller:{name}", rate) if rate else None,
            )
        case FolderFulfiller():

            async def promise(references: Mapping[int, str]) -> None:
                await asyncio.to_thread(promise_references, engine, references)

            as_csv = fulfiller.format is FolderFormat.CSV
            return Folder(Path(fulfiller.directory), as_csv=as_csv, promise=promise)
        case OrderDeskFulfiller():
            return OrderDesk(
                fulfiller.address,
                fulfiller.store_id,
                fulfiller.api_key.get_secret_value(),
                folder_name=fulfiller.folder_name,
            )
    raise FulfillerError(f"fulfillers of kind {fulfiller.kind!r} are not known to this program")
