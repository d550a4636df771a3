"""What containers write: lines with their time, readable while they grow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pytest_modelrt.clock import utc_now

_MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log."""

    number: int
    """From 0, never reused."""
    time: datetime
    text: str

    def encoded(self, *, timestamps: bool) -> bytes:
        """The line as the API serves it, optionally after its RFC 3339 time with nanoseconds."""
        if not timestamps:
            return f"{self.text}\n".encode()
        return f"{self.time.strftime('%Y-%m-%dT%H:%M:%S.%f')}000Z {self.text}\n".encode()


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log is wanted (facts: kube-api, section 11)."""

    follow: bool = False
    tail_lines: int | None = None
    since_seconds: float | None = None
    since_time: datetime | None = None
    timestamps: bool = False
    limit_bytes: int | None = None

    @property
    def not_before(self) -> datetime | None:
        """Lines older than this are left out; the wire's clock is the real one."""
        if self.since_time is not None:
            return self.since_time
        return None if self.since_seconds is None else utc_now() - timedelta(seconds=self.since_seconds)


class ContainerLog:
    """The log of one run of one container; the oldest lines go when it grows too long."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=_MOST_LINES)
        self._next = 0
        self._closed = False
        self._grown: set[asyncio.Event] = set()

    def write(self, text: str) -> None:
        """Append ``text``, which may hold several lines."""
        now = utc_now()
        for line in text.splitlines() or [""]:
            self._lines.append(Line(self._next, now, line))
            self._next += 1
        self._wake()

    def close(self) -> None:
        """The container ended: followers end after the last line."""
        self._closed = True
        self._wake()

    @property
    def lines(self) -> list[Line]:
        """All lines kept."""
        return list(self._lines)

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """The wanted lines, then, with ``follow``, new ones until the container ends."""
        left = options.limit_bytes
        position = 0
        grown = asyncio.Event()
        self._grown.add(grown)
        try:
            chosen = self._chosen(options)
            while True:
                chunk = b"".join(line.encoded(timestamps=options.timestamps) for line in chosen)
                position = self._next
                if left is not None:
                    chunk = chunk[:left]
                    left -= len(chunk)
                if chunk:
                    yield chunk
                if left == 0 or not options.follow:
                    return
                while position == self._next and not self._closed:
                    grown.clear()
                    await grown.wait()
                if position == self._next:
                    return
                chosen = [line for line in self._lines if line.number >= position]
        finally:
            self._grown.discard(grown)

    def _chosen(self, options: LogOptions) -> list[Line]:
        limit = options.not_before
        lines = [line for line in self._lines if limit is None or line.time >= limit]
        if options.tail_lines is None:
            return lines
        return lines[-options.tail_lines :] if options.tail_lines > 0 else []

    def _wake(self) -> None:
        for event in self._grown:
            event.set()
