"""Make secrets that are long enough to be guessed by nobody, and what is kept of them. Pure."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "desk_"  # noqa: S105 - what every token begins with, so that scanners for secrets know one
_BYTES = 32


def new_secret() -> str:
    """Return 256 random bits as text for addresses and headers."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal. It needs no salt: the secret is random and long."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
