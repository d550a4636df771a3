"""SPDY/3.1 as far as port-forward needs it: framing, header blocks, and one session's streams.

Wire format: the SPDY protocol, draft 3.1. Kubernetes clients open streams with headers and send data; we answer.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

log = logging.getLogger(__name__)

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 6, 7, 8, 9
_FLAG_FIN = 0x01
_VERSION = 0x8003
_CHUNK = 32 * 1024

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.encode() for word in (*_WORDS.split(), *_MORE_WORDS)) + _TAIL.encode()
)
"""Compression dictionary of header blocks, from the SPDY/3 specification."""


class Pipe(Protocol):
    """The bytes below SPDY: a taken-over connection, or a WebSocket used as a tunnel."""

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""

    async def write(self, data: bytes) -> None:
        """Send bytes."""


class Stream:
    """One stream the client opened."""

    def __init__(self, session: Session, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._session = session
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = False
        self._finished = False

    async def read(self) -> bytes:
        """The next bytes from the client; empty once it has finished."""
        if self._ended and self._incoming.empty():
            return b""
        data = await self._incoming.get()
        if data:
            await self._session.grant(self.number, len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        for start in range(0, len(data), _CHUNK):
            await self._session.send_data(self.number, data[start : start + _CHUNK])

    async def finish(self) -> None:
        """Nothing more will be sent."""
        if not self._finished:
            self._finished = True
            await self._session.send_data(self.number, b"", fin=True)

    def feed(self, data: bytes, *, fin: bool) -> None:
        """The session received this for the stream."""
        if data:
            self._incoming.put_nowait(data)
        if fin and not self._ended:
            self._ended = True
            self._incoming.put_nowait(b"")


class Session:
    """The server side of one SPDY connection; ``on_stream`` is awaited for every new stream, in order."""

    def __init__(self, pipe: Pipe, on_stream: Callable[[Stream], Awaitable[None]]) -> None:
        self._pipe = pipe
        self._on_stream = on_stream
        self._streams: dict[int, Stream] = {}
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Serve until the client goes away."""
        buffer = b""
        try:
            while data := await self._pipe.read():
                buffer += data
                while len(buffer) >= 8:
                    length = int.from_bytes(buffer[5:8], "big")
                    if len(buffer) < 8 + length:
                        break
                    frame, buffer = buffer[: 8 + length], buffer[8 + length :]
                    if not await self._receive(frame):
                        return
        finally:
            for stream in self._streams.values():
                stream.feed(b"", fin=True)

    async def send_data(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """A data frame."""
        flags = _FLAG_FIN if fin else 0
        await self._send(struct.pack(">II", stream, flags << 24 | len(data)) + data)

    async def grant(self, stream: int, count: int) -> None:
        """Let the client send ``count`` bytes more, on the stream and on the whole connection."""
        for number in (stream, 0):
            await self._control(_WINDOW_UPDATE, 0, struct.pack(">II", number, count))

    async def reset(self, stream: int, status: int = 3) -> None:
        """Refuse or abort a stream (3: refused)."""
        await self._control(_RST_STREAM, 0, struct.pack(">II", stream, status))

    async def _receive(self, frame: bytes) -> bool:
        head, flags = int.from_bytes(frame[:4], "big"), frame[4]
        payload = frame[8:]
        if not head & 0x80000000:
            stream = self._streams.get(head)
            if stream is not None:
                stream.feed(payload, fin=bool(flags & _FLAG_FIN))
            return True
        kind = head & 0xFFFF
        if kind == _SYN_STREAM:
            await self._open(payload, fin=bool(flags & _FLAG_FIN))
        elif kind == _RST_STREAM:
            stream = self._streams.pop(int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, None)
            if stream is not None:
                stream.feed(b"", fin=True)
        elif kind == _PING:
            await self._control(_PING, 0, payload)
        elif kind == _HEADERS:
            self._decode_headers(payload[4:])  # the inflater must see every block
        return kind != _GOAWAY

    async def _open(self, payload: bytes, *, fin: bool) -> None:
        number = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        stream = Stream(self, number, self._decode_headers(payload[10:]))
        self._streams[number] = stream
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._control(_SYN_REPLY, 0, struct.pack(">I", number) + block)
        if fin:
            stream.feed(b"", fin=True)
        await self._on_stream(stream)

    def _decode_headers(self, block: bytes) -> dict[str, str]:
        data = self._inflate.decompress(block)
        position, headers = 4, {}
        for _ in range(int.from_bytes(data[:4], "big")):
            words = []
            for _part in range(2):
                length = int.from_bytes(data[position : position + 4], "big")
                words.append(data[position + 4 : position + 4 + length].decode("latin-1"))
                position += 4 + length
            headers[words[0].lower()] = words[1]
        return headers

    async def _control(self, kind: int, flags: int, payload: bytes) -> None:
        await self._send(struct.pack(">HHI", _VERSION, kind, flags << 24 | len(payload)) + payload)

    async def _send(self, frame: bytes) -> None:
        async with self._sending:
            await self._pipe.write(frame)
