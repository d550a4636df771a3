"""Times when the API server is away: who knows about them, and how waits get that time back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pytest_modelrt.clock import Clock, Deadline

OutageHook = Callable[[float, float | None], None]
"""``hook(started, ended)`` in cluster seconds of the clock; ``ended`` is ``None`` when the outage begins."""


@dataclass(frozen=True, slots=True)
class ApiTrouble:
    """What requests met and overcame."""

    away: float = 0.0
    """Cluster seconds without an API server; clocks of waits stood still."""
    failures: int = 0
    """Attempts without a usable answer."""
    throttled: int = 0
    """Times the API server asked to come back later."""

    def __sub__(self, before: ApiTrouble) -> ApiTrouble:
        return ApiTrouble(self.away - before.away, self.failures - before.failures, self.throttled - before.throttled)

    def __bool__(self) -> bool:
        return self.failures > 0 or self.throttled > 0 or self.away > 0


class Availability:
    """What all requests of a process together know about the API server; thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._past = 0.0
        self._hooks: list[OutageHook] = []
        self.failures = 0
        """Attempts without a usable answer so far."""
        self.throttled = 0
        """Times the API server asked to come back later."""

    def add_hook(self, hook: OutageHook) -> None:
        """Tell ``hook`` when an outage begins and when it ends; it runs in the thread that noticed."""
        self._hooks.append(hook)

    def failed(self) -> None:
        """A request got no usable answer."""
        with self._lock:
            self.failures += 1
            if self._since is not None:
                return
            started = self._since = self._clock.monotonic()
        for hook in self._hooks:
            hook(started, None)

    def succeeded(self) -> None:
        """A request was answered, be it by a refusal."""
        if self._since is None:
            return
        with self._lock:
            if self._since is None:
                return
            started, self._since = self._since, None
            ended = self._clock.monotonic()
            self._past += ended - started
        for hook in self._hooks:
            hook(started, ended)

    @property
    def outage_seconds(self) -> float:
        """Cluster seconds away so far, a running outage included."""
        with self._lock:
            running = self._clock.monotonic() - self._since if self._since is not None else 0.0
            return self._past + running

    @property
    def trouble(self) -> ApiTrouble:
        """All of it so far."""
        return ApiTrouble(self.outage_seconds, self.failures, self.throttled)


class FairDeadline:
    """A deadline whose clock stands still while the API server is away."""

    def __init__(self, deadline: Deadline, availability: Availability) -> None:
        self._deadline = deadline
        self._availability = availability
        self._credited = availability.outage_seconds

    @property
    def remaining(self) -> float:
        """Cluster seconds left after giving back the outages seen since the wait began."""
        total = self._availability.outage_seconds
        self._deadline.postpone(total - self._credited)
        self._credited = total
        return self._deadline.remaining
