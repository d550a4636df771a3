"""Taking over the connection of an HTTP request, for protocols that aiohttp does not speak."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

_CHUNK = 64 * 1024


class _Chained(asyncio.StreamReaderProtocol):
    """Reads the taken-over connection; its loss is told to the HTTP protocol as well, which then frees the request."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


class Connection:
    """The raw bytes of a taken-over connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        try:
            return await self._reader.read(_CHUNK)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """Close the connection; the request it came from ends with it."""
        self._writer.close()


def take_over(request: web.Request, headers: Mapping[str, str]) -> Connection:
    """Answer ``request`` with 101 and ``headers``; from then on the connection is the caller's."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20, loop=loop)
    protocol = _Chained(reader, transport.get_protocol())
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    status = HTTPStatus.SWITCHING_PROTOCOLS
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{key}: {value}" for key, value in headers.items())]
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    if not transport.is_reading():
        transport.resume_reading()
    return Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
