"""One clock for every wait.

Durations in this project are *cluster seconds*. On a real cluster one cluster second is one second. A simulated
cluster may run faster: its kubeconfig states the speed (see ``SIMULATOR_EXTENSION``), and a clock of that speed
makes deadlines and measured durations mean the same thing on both. Timestamps on the wire are always real UTC.
"""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import Protocol

SIMULATOR_EXTENSION = "modelrt.io/simulator"
"""Name of the extension in a kubeconfig's cluster entry that marks a simulated cluster: ``{speed, directory}``."""


class Clock(Protocol):
    """What a wait may ask of time."""

    @property
    def speed(self) -> float:
        """Cluster seconds per real second."""

    def monotonic(self) -> float:
        """Cluster seconds since an arbitrary origin; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` cluster seconds."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, at most ``seconds`` cluster seconds; returns whether it is set."""

    async def asleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` cluster seconds inside an event loop."""


class ScaledClock:
    """Real time, times ``speed``."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, got {speed}")
        self._speed = speed

    @property
    def speed(self) -> float:
        """Cluster seconds per real second."""
        return self._speed

    def monotonic(self) -> float:
        """Cluster seconds since an arbitrary origin."""
        return time.monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` cluster seconds."""
        time.sleep(max(0.0, seconds) / self._speed)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, at most ``seconds`` cluster seconds."""
        return event.wait(max(0.0, seconds) / self._speed)

    async def asleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` cluster seconds inside an event loop."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)


class Deadline:
    """A point in cluster time, possibly moved by progress."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self._started = clock.monotonic()
        self._end = self._started + seconds

    @property
    def elapsed(self) -> float:
        """Cluster seconds since the deadline was set."""
        return self.clock.monotonic() - self._started

    @property
    def remaining(self) -> float:
        """Cluster seconds left, never negative."""
        return max(0.0, self._end - self.clock.monotonic())

    @property
    def remaining_real(self) -> float:
        """Real seconds left: what a socket timeout wants."""
        return self.remaining / self.clock.speed

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0.0

    def extend(self, seconds: float) -> None:
        """Progress was seen: allow at least ``seconds`` cluster seconds from now."""
        self._end = max(self._end, self.clock.monotonic() + seconds)

    def postpone(self, seconds: float) -> None:
        """The clock of this wait stood still for ``seconds`` cluster seconds (an outage)."""
        self._end += seconds


def utc_now() -> datetime:
    """The real wall clock, UTC, as stamped on events and objects."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """``2026-01-31T12:00:00.123Z``: RFC 3339, UTC, milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
