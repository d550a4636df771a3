"""Time that passes when a test says so."""

from __future__ import annotations

import threading


class ManualClock:
    """Stands still until ``pass_`` is called."""

    speed = 1.0

    def __init__(self) -> None:
        self._now = 1000.0

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._now += seconds
        return event.is_set()

    async def asleep(self, seconds: float) -> None:
        self._now += seconds
