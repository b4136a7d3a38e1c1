"""The HTTP client for podOS: retries, rate limits, named errors; the token never leaves it."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx
import stamina

from tasks import response_limits as bounds
from tasks.podos import retry
from tasks.podos.clock import PodosClock, moment_of
from tasks.podos.errors import (
    FatalPodosError,
    PodosError,
    RetriablePodosError,
    TokenRefusedError,
    WrongAnswerError,
)
from tasks.podos.parsing import NotAPageError, ParsedPage, Row, parse_page
from tasks.text_cells import one_line

stamina.instrumentation.set_on_retry_hooks([retry.log_retry])

IDS_PER_REQUEST = 100
SLOWEST_ANSWER_SECONDS = 120.0
"""An answer that comes byte by byte is given up after this: silence alone would never be long enough."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_WORDS = 20_000
"""Of one answer, unpacked: hundreds of times what a page of a hundred orders has."""
_LIST = "GET /v1/fulfillments"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class PodosAccess:
    """Where podOS is and how it is entered; the token never shows in a ``repr``."""

    base_url: str
    project: str
    token: str = field(repr=False)
    authorization: str = "raw"

    def header(self) -> str:
        """Return the Authorization header: the raw key, or with the word Bearer."""
        return f"Bearer {self.token}" if self.authorization == "bearer" else self.token


class Pace(Protocol):
    """Limits the rate of requests."""

    async def __call__(self) -> None:
        """Wait until the next request may begin."""

    async def refused(self) -> None:
        """Slow down: podOS answered 429."""


@dataclass(frozen=True)
class ListQuery:
    """One request for a page; dates are aware, ``sort_by`` is a podOS sort field."""

    sort_by: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    date_field: str | None = None
    ids: tuple[str, ...] = ()
    page: int = 1
    page_size: int = 100

    def params(self) -> list[tuple[str, str]]:
        """Return the query parameters, arrays as repeated keys with brackets (API: list parameters)."""
        params = [("pageToken", str(self.page)), ("pageSize", str(self.page_size))]
        if self.sort_by:
            params.append(("sortBy[]", self.sort_by))
        if self.date_field:
            params.append(("dateFilterType", self.date_field))
        params += [
            (name, _iso(moment)) for name, moment in (("start", self.start), ("end", self.end)) if moment
        ]
        return params + [("ids[]", id_) for id_ in self.ids]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class PodosClient:
    """A connection to one podOS project; use it with ``async with``.

    Args:
        access: address, project and token.
        connections: how many requests may be under way at once.
        timeout_seconds: how long podOS may be silent.
        slowest_seconds: how long all of an answer may take.
        max_attempts: how often one request is tried in all.
        longest_pause_seconds: a Retry-After that asks for more is not waited for in this process.
        throttled_seconds: how long a request is asked again while podOS answers 429, however often.
        pace: limits the rate of requests, where they are counted out.
        transport: for tests.

    Raises:
        FatalPodosError: the address is none.
    """

    def __init__(
        self,
        access: PodosAccess,
        *,
        connections: int = 8,
        timeout_seconds: float = 30.0,
        slowest_seconds: float = SLOWEST_ANSWER_SECONDS,
        max_attempts: int = retry.MAX_ATTEMPTS,
        longest_pause_seconds: float = retry.MAX_RETRY_AFTER_SECONDS,
        throttled_seconds: float = 0.0,
        pace: Pace | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.connections = connections
        self.project = access.project
        self.clock = PodosClock()
        self._slowest_seconds = slowest_seconds
        self._pace = pace
        self._longest_pause_seconds = longest_pause_seconds
        self._throttled_seconds = throttled_seconds
        self._retrying = stamina.AsyncRetryingCaller(
            attempts=max_attempts,
            timeout=None,
            wait_initial=retry.FIRST_WAIT_SECONDS,
            wait_max=retry.MAX_WAIT_SECONDS,
            wait_jitter=retry.FIRST_WAIT_SECONDS,
        ).on(partial(retry.backoff_hook, longest_seconds=longest_pause_seconds))
        self._http = httpx.AsyncClient(
            base_url=_web_address(access),
            params={"project": access.project},
            headers={
                "Authorization": access.header(),
                "Accept": "application/json",
                **bounds.ACCEPT_ENCODING,
            },
            timeout=httpx.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
            verify=_authorities(access),
            event_hooks={"response": [bounds.bounded(MAX_ANSWER_BYTES)]},
            mounts={"http://": None},  # plain http is for this machine: never through a proxy
        )

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def list_page(self, query: ListQuery) -> ParsedPage:
        """Return one page of fulfillments. Safe to repeat.

        Raises:
            RetriablePodosError: podOS did not answer properly in all attempts.
            FatalPodosError: token, project or answer are wrong.
        """
        return await self.retried(self._list_page_once, query)

    async def get_by_ids(self, ids: Sequence[str]) -> list[Row]:
        """Return the fulfillments that podOS knows of these, each once, in any order, 100 ids a request.

        No page is turned: where an answer has more pages, the ids it left out are asked for again.

        Raises:
            WrongAnswerError: podOS says that there is more, but sends nothing that was asked for.
        """
        found: dict[str, Row] = {}
        left = list(dict.fromkeys(ids))
        while left:
            asked = left[:IDS_PER_REQUEST]
            answer = await self.list_page(ListQuery(ids=tuple(asked), page_size=IDS_PER_REQUEST))
            rows = {row.id: row for row in answer.rows if row.id in asked}
            if not rows and answer.next_page_token is not None:
                message = "podOS sent other orders than those asked for"
                raise WrongAnswerError(message, project=self.project, asked=_LIST)
            found |= {id_: row for id_, row in rows.items() if id_}
            more = [id_ for id_ in asked if id_ not in rows] if answer.next_page_token is not None else []
            left = more + left[IDS_PER_REQUEST:]
        return list(found.values())

    async def retried(self, call: Callable[..., Awaitable[Answer]], *arguments: Any) -> Answer:
        """Return what a call returns that is safe to repeat, asking again as this client does.

        A 429 uses up the time that there is for it, not the attempts.
        """
        give_up_at = time.monotonic() + self._throttled_seconds
        while True:
            try:
                return await self._retrying(call, *arguments)
            except RetriablePodosError as error:
                is_throttled = error.status == retry.TOO_MANY_REQUESTS and time.monotonic() < give_up_at
                if not is_throttled or (error.retry_after_seconds or 0) > self._longest_pause_seconds:
                    raise

    async def _list_page_once(self, query: ListQuery) -> ParsedPage:
        response = await self.send("GET", "/v1/fulfillments", params=query.params())
        with self._host_in_errors():
            return self._page_of(response)

    @contextmanager
    def _host_in_errors(self) -> Iterator[None]:
        try:
            yield
        except PodosError as error:
            error.host = self._http.base_url.netloc.decode("ascii")
            raise

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: list[tuple[str, str]] | None = None,
        body: object = None,
        words_without: Iterable[str] | None = None,
    ) -> httpx.Response:
        """Make one request, once, and return the answer if it says success; an error names the host.

        Args:
            method: of HTTP.
            path: below the podOS Address.
            params: beside the project.
            body: sent as JSON.
            words_without: keep podOS's own words where it does not take a change, without these texts. None:
                do not keep them.

        Raises:
            PodosError: no answer, or one that says something else than success.
        """
        with self._host_in_errors():
            return await self._send(method, path, params, body, words_without)

    async def _send(
        self,
        method: str,
        path: str,
        params: list[tuple[str, str]] | None,
        body: object,
        words_without: Iterable[str] | None,
    ) -> httpx.Response:
        asked, project = f"{method} {path}", self.project
        if self._pace:
            await self._pace()
        query = self._http.params.merge(httpx.QueryParams(tuple(params or ())))
        try:
            async with asyncio.timeout(self._slowest_seconds):
                response = await self._http.request(method, path, params=query, json=body)
        except (httpx.TimeoutException, TimeoutError):
            raise RetriablePodosError("podOS did not answer in time", project=project, asked=asked) from None
        except bounds.TooLargeError:
            message = f"podOS's answer is larger than {MAX_ANSWER_BYTES >> 20} MB and was not read"
            raise WrongAnswerError(message, project=project, asked=asked) from None
        except httpx.TransportError as error:
            if reason := bounds.why_not_trusted(error):
                raise FatalPodosError(f"podOS: {reason}", project=project, asked=asked) from None
            message = (
                f"podOS could not be reached ({type(error).__name__}): check its address and the network"
            )
            raise RetriablePodosError(message, project=project, asked=asked) from None
        except (httpx.InvalidURL, httpx.DecodingError):
            message = "podOS answered in no readable form"
            raise RetriablePodosError(message, project=project, asked=asked) from None
        # httpx ties answer and stream into a circle, which would keep the body until the collector comes by.
        response.stream = httpx.ByteStream(b"")
        self.clock.note(response.headers.get("Date"))
        if self._pace and response.status_code == retry.TOO_MANY_REQUESTS:
            await self._pace.refused()
        is_refused = response.status_code in retry.REFUSED_CHANGE
        problem = retry.error_of_status(
            response.status_code,
            project=project,
            asked=asked,
            retry_after=response.headers.get("Retry-After"),
            now=moment_of(response.headers.get("Date")),
            words=_words(response, words_without) if is_refused and words_without is not None else "",
        )
        if problem:
            raise problem
        return response

    def _page_of(self, response: httpx.Response) -> ParsedPage:
        project, status = self.project, response.status_code
        try:
            return parse_page(response.content)
        except NotAPageError as error:
            if error.is_json:
                message = f"{error}; is the podOS Address right?"
                raise WrongAnswerError(message, project=project, asked=_LIST, status=status) from None
            is_html = "html" in response.headers.get("Content-Type", "").lower()
            message = "a web page answered instead of podOS" if is_html else "podOS sent half an answer"
            raise RetriablePodosError(
                f"{message}; check the podOS Address", project=project, asked=_LIST, status=status
            ) from None


def _web_address(access: PodosAccess) -> httpx.URL:
    try:
        url = httpx.URL(access.base_url)
        if url.host:  # reading it decodes an international name
            return url
    except (httpx.InvalidURL, UnicodeError):
        pass
    raise FatalPodosError("the podOS Address is not a web address; correct it", project=access.project)


def _authorities(access: PodosAccess) -> ssl.SSLContext:
    if _web_address(access).scheme == "http":  # on this machine: reading the authorities takes 20 ms
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return bounds.trusted_authorities()
    except bounds.CertificatesError as error:
        raise FatalPodosError(str(error), project=access.project) from None


def _words(response: httpx.Response, without: Iterable[str]) -> str:
    """Return podOS's message for a request it did not accept: one line, shortened, without these texts."""
    try:
        message = one_line(str(response.json().get("message", ""))[:MAX_WORDS])
    except (ValueError, AttributeError, RecursionError):
        return ""
    for text in sorted(without, key=len, reverse=True):
        message = re.sub(re.escape(text), "...", message, flags=re.IGNORECASE)
    return message[:200]


async def find_authorization(
    access: PodosAccess, *, max_attempts: int = 3, transport: httpx.AsyncBaseTransport | None = None
) -> str:
    """Return how podOS wants the token: ``raw``, or ``bearer`` if only that is accepted.

    Raises:
        TokenRefusedError: it accepts neither.
        UnknownProjectError: it does not know the project.
        RetriablePodosError: it can't be reached.
        WrongAnswerError: what answers is not podOS.
    """
    refused: TokenRefusedError | None = None
    for scheme in ("raw", "bearer"):
        tried = PodosAccess(access.base_url, access.project, access.token, scheme)
        try:
            async with PodosClient(tried, max_attempts=max_attempts, transport=transport) as client:
                await client.list_page(ListQuery(page_size=1))
        except TokenRefusedError as error:
            refused = refused or error
        else:
            return scheme
    assert refused is not None  # noqa: S101 - the loop ends only with a refusal
    raise refused
