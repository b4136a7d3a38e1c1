"""Templates and answers: every text of a stranger stays text, and only https becomes a link or a picture."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from deployments.web.site import Site
from models.errors import AppError
from models.unreadable import is_readable
from tasks.desk.deadlines import deadline_of
from tasks.desk.errors import DeskError, DeskRefusedError

logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
_LONGEST_ADDRESS = 4000
_MOST_DIGITS = 18
"""Of a number that every database can hold as an id."""


@dataclass(frozen=True)
class Visit:
    """A request, its form and the site."""

    request: Request
    form: FormData
    site: Site

    def field(self, name: str) -> str:
        """Return what was typed into a field, without white space around it; empty where there is none."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def fields(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def query(self, name: str) -> str:
        """Return a value of the address, without white space around it."""
        return self.request.query_params.get(name, "").strip()

    def page(self, template: str, *, status: int = 200, error: str = "", **context: Any) -> Response:
        """Return a page.

        Args:
            template: its file's name.
            status: of HTTP.
            error: what can't be done, shown above everything.
            context: for the template.
        """
        said = self.site.said(self.query("said"))
        path = self.request.url.path
        html = TEMPLATES.get_template(template).render(
            path=path, prefect=self.site.prefect, said=said, error=error, **context
        )
        # A lone surrogate, which another program may have written, has no bytes.
        return HTMLResponse(html.encode("utf-8", "replace"), status)

    def go(
        self, path: str, *said: str, is_bad: bool = False, query: Mapping[str, str] | None = None
    ) -> Response:
        """Return the way to the page after a write; reloading that one writes nothing.

        Args:
            path: of our own.
            said: sentences for it.
            is_bad: they tell of a trouble.
            query: what its address carries.
        """
        text = "; ".join(filter(None, said))
        carried = dict(query or {})
        if text:
            carried["said"] = self.site.keep(text, is_bad=is_bad)
        return RedirectResponse(f"{path}?{urlencode(carried)}" if carried else path, 303)


Handler = Callable[[Visit], Response]


def handled(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint: the form is read, the handler works in a thread, an error becomes a page."""

    async def endpoint(request: Request) -> Response:
        form = FormData()
        if request.method == "POST":
            form = await request.form(max_files=0, max_fields=2000)
        return await run_in_threadpool(_answered, handler, Visit(request, form, request.app.state.site))

    endpoint.__name__ = handler.__name__
    return endpoint


def _answered(handler: Handler, visit: Visit) -> Response:
    try:
        return handler(visit)
    except HTTPException:
        raise
    except DeskRefusedError as error:
        return refused(visit, error)
    except DeskError as error:
        return visit.page(
            "trouble.html", status=503, title="The desk can't be read just now", text=str(error)
        )
    except AppError as error:
        return refused(visit, error)
    except Exception as error:  # noqa: BLE001 - the last stop: a traceback quotes values of orders
        text = f"{logged(error)} Nothing more was done: go back and look."
        return visit.page("trouble.html", status=500, title="That did not work", text=text)


def logged(error: Exception) -> str:
    """Log where something unexpected happened, and return it as a sentence without any value."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    logger.error("unexpected %s in %s", type(error).__name__, place)
    return f"An unexpected {type(error).__name__} in {place}."


def refused(visit: Visit, error: AppError) -> Response:
    """Return the page of something that is not possible."""
    return visit.page("trouble.html", status=400, title="That is not possible", text=str(error))


async def not_there(request: Request, error: Exception) -> Response:
    """Answer with a page what the router or a handler refused."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    titles = {404: "There is no such page", 405: "Nothing is written this way", 413: "That is too much"}
    text = str(error.detail) if isinstance(error, HTTPException) and status not in {404, 405} else ""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    visit = Visit(request, FormData(), request.app.state.site)
    page = visit.page("trouble.html", status=status, title=titles.get(status, "Not possible"), text=text)
    page.headers.update(headers)
    return page


def number_of(text: str) -> int | None:
    """Return the number that a form or an address holds, None where it holds none that an id can be."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else None


def shown(value: object) -> str:
    """Return text as a page shows it: what does not print or turns the direction of writing is replaced."""
    if value is None:
        return ""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in str(value)
    )


def https_or_none(text: object) -> str | None:
    """Return an address that may become a link or a picture: https alone, of a length that is one."""
    address = str(text or "").strip()
    if (
        not address.isprintable()
        or len(address) > _LONGEST_ADDRESS
        or any(char.isspace() for char in address)
    ):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    usable = parts.scheme == "https" and parts.hostname and not parts.username and not parts.password
    return address if usable else None


def moment(value: datetime | str | None) -> str:
    """Return an instant for a person, in UTC to the minute; text that is no moment stays as it is."""
    if isinstance(value, str):
        read = deadline_of(value) if len(value.strip()) > len("2026-11-23") else None
        return shown(value) if read is None else moment(read)
    if value is None:
        return ""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if is_readable(value) else "unreadable"


def words(value: str) -> str:
    """Return a name of the program's own for a person: ``already_there`` is ``already there``."""
    return shown(value).replace("_", " ")


TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=lambda value: shown(value) if type(value) is str else "" if value is None else value,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update({"https": https_or_none, "moment": moment, "words": words})
