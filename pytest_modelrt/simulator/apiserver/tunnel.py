"""Handing an upgraded connection over to a kubelet, byte by byte."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from pytest_modelrt.simulator.apiserver.errors import StatusError

_DROPPED = frozenset({"authorization", "host"})
_HEAD_LIMIT = 64 * 1024


class _ClientSide(asyncio.Protocol):
    """Takes the place of the HTTP protocol on the client's connection and feeds the node's."""

    def __init__(self, replaced: asyncio.BaseProtocol, node: asyncio.StreamWriter) -> None:
        self._replaced = replaced
        self._node = node
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if not self._node.is_closing():
            self._node.write(data)

    def eof_received(self) -> bool:
        """The client is done writing."""
        return False

    def pause_writing(self) -> None:
        """The client reads slower than the node writes."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """The client caught up."""
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: let the HTTP protocol clean up, and stop the tunnel."""
        self.closed.set()
        self.writable.set()
        self._replaced.connection_lost(exc)


class Tunnel:
    """One upgrade request, carried to ``host:port`` over TLS."""

    def __init__(self, request: web.BaseRequest, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._request = request
        self._host = host
        self._port = port
        self._tls = tls

    async def run(self, path: str) -> web.StreamResponse:
        """Ask the node for ``path``; tunnel when it agrees to switch protocols, else pass its answer on."""
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=_HEAD_LIMIT)
        except OSError as error:
            text = f"error dialing backend: dial tcp {self._host}:{self._port}: {error.strerror or error}"
            raise StatusError(500, "InternalError", text) from None
        try:
            writer.write(self._head(path))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status != 101:
                return await self._refusal(status, head, reader)
            await self._pipe(head, reader, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
            raise StatusError(500, "InternalError", f"error dialing backend: {error}") from None
        finally:
            writer.close()
        return web.Response()

    def _head(self, path: str) -> bytes:
        lines = [f"{self._request.method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{key}: {value}" for key, value in self._request.headers.items() if key.lower() not in _DROPPED]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _refusal(self, status: int, head: bytes, reader: asyncio.StreamReader) -> web.Response:
        headers = {}
        for line in head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            headers[key.strip().lower()] = value.strip()
        length = headers.get("content-length", "")
        body = await reader.readexactly(int(length)) if length.isdigit() else b""
        return web.Response(
            body=body, status=status, content_type=headers.get("content-type", "text/plain").split(";")[0]
        )

    async def _pipe(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = self._request.transport
        if transport is None:
            return
        client = _ClientSide(transport.get_protocol(), writer)
        transport.set_protocol(client)
        transport.write(head)
        gone = asyncio.ensure_future(client.closed.wait())
        try:
            while not client.closed.is_set():
                reading = asyncio.ensure_future(reader.read(_HEAD_LIMIT))
                await asyncio.wait({reading, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    break
                data = reading.result()
                if not data:
                    break
                transport.write(data)
                await client.writable.wait()
        finally:
            gone.cancel()
            transport.close()
