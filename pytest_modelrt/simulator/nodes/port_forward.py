"""Port-forward in the three flavours clients speak (facts: kube-api, section 11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import WSMsgType, web

from pytest_modelrt.simulator.nodes.spdy import Pipe, Session, Stream

log = logging.getLogger(__name__)

TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CHANNEL_PROTOCOL = "v4.channel.k8s.io"
STREAM_PROTOCOL = "portforward.k8s.io"
_CHUNK = 32 * 1024

Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to a port of the pod; raises ``ForwardError``."""


class ForwardError(Exception):
    """The pod's port cannot be reached; the text is shown to the user."""


class WebSocketPipe:
    """A SPDY byte stream inside binary messages; message borders mean nothing, empty ones occur."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                return bytes(message.data)
        return b""

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        await self._socket.send_bytes(data)


async def forward_spdy(pipe: Pipe, connect: Connect) -> None:
    """Serve port-forward over SPDY: per connection an error stream and a data stream with the same request id."""
    errors: dict[str, Stream] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def on_stream(stream: Stream) -> None:
        request = stream.headers.get("requestid", "") + "/" + stream.headers.get("port", "")
        if stream.headers.get("streamtype") == "error":
            errors[request] = stream
        elif request in errors:
            task = asyncio.create_task(_forward_stream(stream, errors.pop(request), connect))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            await session.reset(stream.number)

    session = Session(pipe, on_stream)
    try:
        await session.run()
    except (ConnectionError, RuntimeError) as error:
        log.debug("port-forward ended: %s", error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward_stream(data: Stream, errors: Stream, connect: Connect) -> None:
    try:
        reader, writer = await connect(int(data.headers.get("port", "0")))
    except ForwardError as error:
        await errors.write(str(error).encode())
    else:
        await _pump(reader, writer, data.read, data.write)
    await data.finish()
    await errors.finish()


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    read: Callable[[], Awaitable[bytes]],
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Copy both ways until the pod's side ends."""

    async def to_pod() -> None:
        while chunk := await read():
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(to_pod())
    try:
        while chunk := await reader.read(_CHUNK):
            await write(chunk)
    except ConnectionError as error:
        log.debug("port-forward: %s", error)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def forward_channels(socket: web.WebSocketResponse, ports: Sequence[int], connect: Connect) -> None:
    """Serve the channel protocol: port ``i`` has data channel ``2i``, error channel ``2i+1``, and one connection."""
    inboxes: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in ports]
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
    forwarding = asyncio.create_task(_forward_all(socket, ports, inboxes, connect))
    receiving = asyncio.create_task(_dispatch(socket, inboxes))
    try:
        await asyncio.wait({receiving, forwarding}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        forwarding.cancel()
        receiving.cancel()
        await asyncio.gather(forwarding, receiving, return_exceptions=True)
        await socket.close()


async def _forward_all(
    socket: web.WebSocketResponse, ports: Sequence[int], inboxes: Sequence[asyncio.Queue[bytes]], connect: Connect
) -> None:
    await asyncio.gather(
        *(_forward_channel(socket, index, port, inboxes[index], connect) for index, port in enumerate(ports))
    )


async def _dispatch(socket: web.WebSocketResponse, inboxes: Sequence[asyncio.Queue[bytes]]) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY and len(message.data) > 1 and message.data[0] // 2 < len(inboxes):
            inboxes[message.data[0] // 2].put_nowait(bytes(message.data[1:]))
    for inbox in inboxes:
        inbox.put_nowait(b"")


async def _forward_channel(
    socket: web.WebSocketResponse, index: int, port: int, inbox: asyncio.Queue[bytes], connect: Connect
) -> None:
    try:
        reader, writer = await connect(port)
    except ForwardError as error:
        await socket.send_bytes(bytes([2 * index + 1]) + str(error).encode())
        return

    async def write(data: bytes) -> None:
        await socket.send_bytes(bytes([2 * index]) + data)

    await _pump(reader, writer, inbox.get, write)
