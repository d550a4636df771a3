"""The moment from which a scenario counts: when the cluster is ready for its first user."""

from __future__ import annotations

import asyncio
import math

from pytest_modelrt.clock import Clock


class Opening:
    """Open from the start where parts of the simulator run by themselves; a whole cluster closes it while it is built.

    All times are cluster seconds since then.
    """

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        self._since: float | None = None

    def close(self) -> None:
        """The cluster is being built: no time passes."""
        self._event = asyncio.Event()
        self._since = None

    def open(self, clock: Clock) -> None:
        """The cluster is ready."""
        self._since = clock.monotonic()
        if self._event is not None:
            self._event.set()

    async def until(self, clock: Clock, at: float) -> None:
        """Return ``at`` seconds after the opening, at once when that is over."""
        if self._event is not None:
            await self._event.wait()
        await clock.asleep(max(0.0, at - self.age(clock)))

    def age(self, clock: Clock) -> float:
        """Seconds since the opening; 0 before."""
        if self._since is None:
            if self._event is not None and not self._event.is_set():
                return 0.0
            self._since = clock.monotonic()
        return clock.monotonic() - self._since


def left(at: float, lasts: float | None, age: float) -> float:
    """Seconds a time ``[at, at + lasts)`` still goes on at ``age``; 0 when it has not begun or is over."""
    end = math.inf if lasts is None else at + lasts
    return end - age if at <= age < end else 0.0
