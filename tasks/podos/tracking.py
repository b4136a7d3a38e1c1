"""The calls for tracking: read the remote tracking of orders, and write that of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import httpx

from models.podos import HeldTracking
from tasks.podos.client import IDS_PER_REQUEST, ListQuery, PodosClient
from tasks.podos.errors import (
    FatalPodosError,
    RefusedChangeError,
    RetriablePodosError,
    UnknownProjectError,
)
from tasks.podos.remote_tracking import BrokenAnswerError, parse_held, parse_held_page
from tasks.podos.retry import REFUSED_CHANGE

_LIST = "/v1/fulfillments"


async def find_held(client: PodosClient, ids: Sequence[str]) -> list[HeldTracking]:
    """Return what podOS shows of these fulfillments, at most 100; those it does not know are left out.

    Raises:
        RetriablePodosError: podOS did not answer properly in all attempts.
        FatalPodosError: token, project or answer are wrong.

    Safe to repeat.
    """
    return await client.retried(_find_held_once, client, tuple(ids[:IDS_PER_REQUEST]))


async def get_held(client: PodosClient, source_id: str) -> HeldTracking | None:
    """Return what podOS shows of one fulfillment, None if it does not know it. Safe to repeat."""
    try:
        return await client.retried(_get_held_once, client, source_id)
    except UnknownProjectError:
        return None


async def held_by_id(client: PodosClient, ids: Sequence[str]) -> dict[str, HeldTracking]:
    """Return what podOS shows of these fulfillments, at most 100; the list may hide some that it has.

    Raises:
        RetriablePodosError: podOS did not answer properly in all attempts.
        FatalPodosError: token, project or answer are wrong.

    Safe to repeat.
    """
    held = {remote.id: remote for remote in await find_held(client, ids)}
    for id_ in ids:
        if id_ not in held and (found := await get_held(client, id_)):
            held[id_] = found
    return held


async def patch_fulfillment(
    client: PodosClient, source_id: str, *, courier: str, code: str, url: str | None, status: str = "complete"
) -> HeldTracking:
    """Write tracking and status of one fulfillment in one call, and return what podOS shows then.

    It is asked once. After a ``RetriablePodosError`` other than 429 the change may have been made or not:
    look what podOS shows before asking again.

    Raises:
        RetriablePodosError: podOS did not answer properly.
        RefusedChangeError: podOS does not know this fulfillment, or does not take the change.
        FatalPodosError: the token was refused, or what answered is not podOS.
    """
    tracking = {"courier": courier, "code": code, **({"url": url} if url else {})}
    body = {"status": status, "tracking": tracking}
    return await _patch(client, source_id, body, "tracking", [text for text in (code, url) if text])


async def patch_status(client: PodosClient, source_id: str, status: str) -> HeldTracking:
    """Write the status of one fulfillment, and return what podOS shows then; asked once, as above.

    Raises:
        RetriablePodosError: podOS did not answer properly.
        RefusedChangeError: podOS does not know this fulfillment, or does not take the change.
        FatalPodosError: the token was refused, or what answered is not podOS.
    """
    return await _patch(client, source_id, {"status": status}, "status", [])


async def _patch(
    client: PodosClient, source_id: str, body: Mapping[str, object], what: str, words_without: Sequence[str]
) -> HeldTracking:
    path = f"{_LIST}/{quote(source_id, safe='')}"
    try:
        response = await client.send("PATCH", path, body=body, words_without=words_without)
    except UnknownProjectError as error:
        raise _refused("podOS does not know this order", error) from None
    except FatalPodosError as error:
        if error.status in REFUSED_CHANGE:
            raise _refused(f"podOS did not accept the {what}", error) from None
        raise
    return _held_of(client, response, f"PATCH {path}", source_id)


def _refused(message: str, error: FatalPodosError) -> RefusedChangeError:
    facts = {"project": error.project, "asked": error.asked, "words": error.words}
    return RefusedChangeError(message, status=error.status, **facts)


async def _find_held_once(client: PodosClient, ids: tuple[str, ...]) -> list[HeldTracking]:
    found: dict[str, HeldTracking] = {}
    page: int | None = 1
    for _ in ids:  # a page holds one at least; podOS can't lead us in a circle
        if page is None:
            break
        query = ListQuery(ids=ids, page=page, page_size=IDS_PER_REQUEST)
        response = await client.send("GET", _LIST, params=query.params())
        try:
            rows, page = parse_held_page(response.content)
        except BrokenAnswerError as error:
            raise _broken(client, str(error), f"GET {_LIST}", response) from None
        found |= {row.id: row for row in rows if row.id in ids}
    return list(found.values())


async def _get_held_once(client: PodosClient, source_id: str) -> HeldTracking:
    path = f"{_LIST}/{quote(source_id, safe='')}"
    return _held_of(client, await client.send("GET", path), f"GET {path}", source_id)


def _held_of(client: PodosClient, response: httpx.Response, asked: str, source_id: str) -> HeldTracking:
    try:
        held = parse_held(response.content)
    except BrokenAnswerError as error:
        raise _broken(client, str(error), asked, response) from None
    if held.id != source_id:
        raise _broken(client, "podOS answered with another order than the one asked for", asked, response)
    return held


def _broken(client: PodosClient, fact: str, asked: str, response: httpx.Response) -> RetriablePodosError:
    return RetriablePodosError(fact, project=client.project, asked=asked, status=response.status_code)
