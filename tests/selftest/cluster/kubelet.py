"""Port-forward as a kubelet serves it over WebSocket (``v4.channel.k8s.io``), into a local TCP port; over TLS."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trustme
from aiohttp import WSMsgType, web

DATA, ERROR = b"\x00", b"\x01"


@dataclass
class Kubelet:
    """``target``: port of the engine; ``refuse``: words for the error channel instead of a connection."""

    authority: trustme.CA
    target: int = 0
    refuse: str = ""
    port: int = 0
    opened: int = 0
    authorizations: list[str] = field(default_factory=list)

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"gitVersion": "v1.36.0"})

    async def forward(self, request: web.Request) -> web.StreamResponse:
        self.authorizations.append(request.headers.get("Authorization", ""))
        if request.match_info["pod"] == "unscheduled":
            body = {"kind": "Status", "code": 400, "message": "pod unscheduled does not have a host assigned"}
            return web.json_response(body, status=400)
        channel = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await channel.prepare(request)
        self.opened += 1
        port = int(request.query["ports"]).to_bytes(2, "little")
        await channel.send_bytes(DATA + port)
        await channel.send_bytes(ERROR + port)
        if self.refuse:
            await channel.send_bytes(ERROR + self.refuse.encode())
        else:
            await self._pump(channel)
        await channel.close()
        return channel

    async def _pump(self, channel: web.WebSocketResponse) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)

        async def back() -> None:
            async for piece in _pieces(reader):
                await channel.send_bytes(DATA)
                await channel.send_bytes(DATA + piece)
            await channel.close()

        returning = asyncio.ensure_future(back())
        async for message in channel:
            if message.type == WSMsgType.BINARY and message.data[:1] == DATA:
                writer.write(message.data[1:])
        returning.cancel()
        writer.close()


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(700):
        yield piece


@contextmanager
def running() -> Iterator[Kubelet]:
    """A kubelet behind ``https://localhost:{port}``."""
    kubelet = Kubelet(trustme.CA())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    kubelet.authority.issue_cert("localhost").configure_cert(context)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/version", kubelet.version)
        application.router.add_get("/api/v1/namespaces/ns/pods/{pod}/portforward", kubelet.forward)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
        await site.start()
        kubelet.port = runner.addresses[0][1]
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield kubelet
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
