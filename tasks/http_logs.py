"""What the HTTP library writes into logs, without anything that a server said.

Its logs are quiet unless somebody asks for them. Then they would hold headers, reason phrases and, in paths,
the references that fulfillers gave: words of others, which may repeat a buyer's name.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from urllib.parse import urlsplit

_REQUEST = "HTTP Request: "
_CORE_LOGGERS = ("connection", "http11", "http2", "proxy", "socks")
_RETURNED = re.compile(r"(\.complete) return_value=.*", re.DOTALL)
_RAISED = re.compile(r"(\.failed) exception=(\w+).*", re.DOTALL)


def keep_answers_out_of_logs() -> None:
    """Filter the loggers of httpx and httpcore. Safe to repeat."""
    logging.getLogger("httpx").addFilter(without_answer)
    for name in _CORE_LOGGERS:
        logging.getLogger(f"httpcore.{name}").addFilter(without_returned)


def without_answer(record: logging.LogRecord) -> bool:
    """Leave method, host and status of httpx's line about a request."""
    if isinstance(record.args, tuple) and len(record.args) == 5 and str(record.msg).startswith(_REQUEST):
        method, url, version, status, _ = record.args
        parts = urlsplit(str(url))
        record.args = (method, f"{parts.scheme}://{parts.netloc}", version, status, _phrase(status))
    return True


def _phrase(status: object) -> str:
    """Return the usual phrase of a status; the server may have written anything in its place."""
    try:
        return HTTPStatus(int(str(status))).phrase
    except ValueError:
        return ""


def without_returned(record: logging.LogRecord) -> bool:
    """Leave the name of a step of httpcore, and the kind of the error that ended it."""
    if isinstance(record.msg, str):
        record.msg = _RAISED.sub(r"\1 exception=\2", _RETURNED.sub(r"\1", record.msg))
    return True
