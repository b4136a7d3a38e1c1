"""Which addresses podOS and fulfillers may be reached at."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

PODOS_BASE_URL = "https://api.podos.io"


def checked_base_url(value: str, title: str = "podOS Address", example: str = PODOS_BASE_URL) -> str:
    """Return the address without its trailing slash.

    Raises:
        ValueError: it is no http(s) address, carries a user, query or fragment, or is plain http to another
            machine (the token would travel in clear text).
    """
    value = value.strip()
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{title} is not a web address such as {example}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{title} must hold no user, password, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{title} must begin with https:// (http is for this machine only)")
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
