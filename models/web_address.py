"""Which addresses podOS and fulfillers may be reached at."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

PODOS_BASE_URL = "https://api.podos.io"
_AUTHORITY = re.compile(r"([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_PORT = re.compile(r":[0-9]+$")
_USUAL_PORTS = frozenset({"80", "443"})


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


def authority_of(text: str) -> str | None:
    """Return ``host`` or ``host:port`` as browsers write it, without the port of http or https.

    Args:
        text: of a Host or Origin header, or of a setting; an IPv6 address stands in brackets.

    Returns:
        None if it is no host, or holds more than a host and a port.
    """
    match = _AUTHORITY.fullmatch(text.lower())
    if match is None:
        return None
    host, port = match.groups()
    return host if port is None or port in _USUAL_PORTS else f"{host}:{port}"


def name_of(authority: str) -> str:
    """Return the name or address of ``authority_of`` without its port and without brackets."""
    return _PORT.sub("", authority).strip("[]")


def checked_authorities(text: str) -> frozenset[str]:
    """Return the hosts of a list with commas, each as ``authority_of`` writes it.

    Raises:
        ValueError: one of them is no host with or without a port; the text names it.
    """
    found = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        authority = authority_of(part)
        if authority is None:
            raise ValueError(f"{part!r} is not a host such as desk.example.test or desk.example.test:8443")
        found.add(authority)
    return frozenset(found)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
