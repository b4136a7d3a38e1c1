"""Where alerts go that have no block of their own: a Prefect Block that posts them as JSON to an address."""

from __future__ import annotations

import asyncio
import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import ClassVar
from urllib.parse import urlsplit

import stamina
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.abstract import NotificationError as NotSentError
from pydantic import ConfigDict, Field, SecretStr, field_validator

from models.web_address import is_loopback

ALERTS_BLOCK = "desk-alerts"
"""The name under which ``desk alerts setup --webhook`` saves it."""
ATTEMPTS = 4
TIMEOUT_SECONDS = 10.0


class AlertWebhook(NotificationBlock):
    """An address that alerts are posted to; secret, because such addresses let in whoever knows them.

    Python's own HTTP client, because it writes no address into a log, follows no redirect and uses no proxy.
    """

    _block_type_name: ClassVar[str | None] = "Desk Alerts: Webhook"
    _block_type_slug: ClassVar[str | None] = "desk-alert-webhook"
    _description: ClassVar[str | None] = "Posts each alert as JSON: text, subject and body."

    model_config = ConfigDict(hide_input_in_errors=True)

    url: SecretStr = Field(
        title="Address", description="Where alerts are posted. Https, except on this machine."
    )

    @field_validator("url")
    @classmethod
    def _address_is_safe(cls, url: SecretStr) -> SecretStr:
        return SecretStr(checked_alert_address(url.get_secret_value()))

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Post an alert; tried again where the receiver is away or busy.

        Raises:
            NotSentError: it was not taken; the text does not name the address.
        """
        text = f"{subject}\n{body}" if subject else body
        content = json.dumps({"text": text, "subject": subject, "body": body})
        status = 0
        try:
            # As a context: a call that stamina makes itself is logged with its arguments.
            async for attempt in stamina.retry_context(
                on=_AwayError, attempts=ATTEMPTS, wait_initial=0.5, wait_max=10.0
            ):
                with attempt:
                    status = await asyncio.to_thread(_post, self.url.get_secret_value(), content)
        except _AwayError as error:
            raise NotSentError(str(error)) from None
        if not 200 <= status < 300:
            raise NotSentError(f"the alert's receiver answered {status}")


class _AwayError(Exception):
    """The receiver did not take the post, and may later."""


def checked_alert_address(value: str) -> str:
    """Return the address, without space around it.

    Raises:
        ValueError: it is none, or plain http to another machine. The text does not hold it.
    """
    value = value.strip()
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("the address of alerts is not a web address such as https://hooks.example.test/desk")
    if parts.username or parts.password:
        raise ValueError("the address of alerts must hold no user and no password")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("the address of alerts must begin with https:// (http is for this machine only)")
    return value


def _post(url: str, content: str) -> int:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "podos-order-desk", "Connection": "close"}
    try:
        connection.request("POST", path, body=content.encode(), headers=headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise _AwayError(f"the alert's receiver could not be reached ({type(error).__name__})") from None
    finally:
        connection.close()
    if status == 429 or status >= 500:
        raise _AwayError(f"the alert's receiver answered {status}")
    return status
