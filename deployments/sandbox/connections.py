"""The sandbox's hold on its TCP connections, to cut them in the middle and to stop without waiting."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connections:
    """The open connections by the client's address.

    Only `cut_all_soon` may be called from another thread than the server's.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._open: dict[tuple[str, int], asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""
        self._loop = asyncio.get_running_loop()
        self._open[transport.get_extra_info("peername")[:2]] = transport

    def closed(self, address: tuple[str, int]) -> None:
        """Forget a connection."""
        self._open.pop(address, None)

    def cut(self, address: tuple[str, int]) -> None:
        """Close a connection without an answer."""
        transport = self._open.get(address)
        if transport is not None:
            transport.close()

    def write(self, address: tuple[str, int], data: bytes) -> None:
        """Send bytes past the HTTP server, which would not let them through."""
        transport = self._open.get(address)
        if transport is not None:
            transport.write(data)

    def close_our_side(self, address: tuple[str, int]) -> None:
        """Close a connection for what we say; what the client says is still listened to."""
        transport = self._open.get(address)
        if transport is not None and transport.can_write_eof():
            transport.write_eof()

    def cut_all_soon(self) -> None:
        """Let the server's thread close every connection."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self) -> None:
        for transport in list(self._open.values()):
            transport.close()

    def protocol(self) -> type[asyncio.Protocol]:
        """Make the uvicorn protocol that reports its connections here."""
        connections = self

        class TrackedProtocol(H11Protocol):
            """HTTP/1.1 as uvicorn speaks it, with its connections known."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                connections.opened(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    connections.closed(self.client)
                super().connection_lost(exc)

        return TrackedProtocol
