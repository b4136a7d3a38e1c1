"""Bounds of an answer: how large it may be, decompressed, and whose certificate is trusted.

For every server that this program talks to, podOS and fulfillers alike: none of them can fill its memory, and
none is spoken to before it has shown who it is.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from models.errors import AppError
from tasks.http_logs import keep_answers_out_of_logs

keep_answers_out_of_logs()  # whoever talks to podOS or a fulfiller takes its bounds from here

ACCEPT_ENCODING = {"Accept-Encoding": "gzip"}
"""To be sent with a request whose answer is bounded: no other compression is read."""
_PIECE_BYTES = 262_144
_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(AppError):
    """An answer is larger than it may be; ``response`` has its status and headers, and no body."""

    def __init__(self, response: httpx.Response, limit_bytes: int) -> None:
        super().__init__(f"the answer is larger than {limit_bytes} bytes")
        self.response = response


class CertificatesError(AppError):
    """The file of certificates that the environment names can't be read."""


def bounded(limit_bytes: int) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return a response hook of httpx that stops reading an answer where it grows too large.

    It is stopped while it comes in, so that neither a large answer nor what a small one unpacks to is ever in
    memory.
    """

    async def bound(response: httpx.Response) -> None:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > limit_bytes:
            raise TooLargeError(response, limit_bytes)
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding in {"", "identity"} and length:
            return  # the HTTP library reads no more than that
        if not isinstance(response.stream, httpx.AsyncByteStream):
            return  # it was read before
        if encoding in {"gzip", "x-gzip"}:
            del response.headers["Content-Encoding"]  # httpx would unpack it without a bound
            response.stream = _Bounded(response, response.stream, limit_bytes, is_gzip=True)
        elif encoding in {"", "identity"}:
            response.stream = _Bounded(response, response.stream, limit_bytes, is_gzip=False)
        else:
            raise httpx.DecodingError(f"the answer is packed as {encoding}", request=response.request)

    return bound


class _Bounded(httpx.AsyncByteStream):
    def __init__(
        self, response: httpx.Response, stream: httpx.AsyncByteStream, limit_bytes: int, *, is_gzip: bool
    ) -> None:
        self._response = response
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._is_gzip = is_gzip

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._unpacked() if self._is_gzip else self._stream:
            size += len(piece)
            if size > self._limit_bytes:
                raise TooLargeError(self._response, self._limit_bytes)
            yield piece

    async def _unpacked(self) -> AsyncIterator[bytes]:
        unpacking = zlib.decompressobj(_GZIP)
        try:
            async for packed in self._stream:
                left, piece = packed, b"-"
                while left or len(piece) == _PIECE_BYTES:
                    piece = unpacking.decompress(left, _PIECE_BYTES)
                    left = unpacking.unconsumed_tail
                    yield piece
            yield unpacking.flush()
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=self._response.request) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


def trusted_authorities() -> ssl.SSLContext:
    """Return whose certificates are trusted: the usual authorities, or those of ``SSL_CERT_FILE`` alone.

    Raises:
        CertificatesError: that file can't be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise CertificatesError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read ({reason}): correct it"
        ) from None


def why_not_trusted(error: BaseException) -> str | None:
    """Return what is wrong with a server's certificate if that is why a request failed, else None."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({cause.verify_message}): check the address; "
                "the file of a private authority is named by SSL_CERT_FILE"
            )
        cause = cause.__cause__ or cause.__context__
    return None
