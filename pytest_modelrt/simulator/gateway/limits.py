"""Counters of limits: fixed windows that start with the first hit counted (facts: maas-kind.md, 3.6).

The clock is cluster time: a window of 120 s lasts two real seconds on a cluster of speed 60.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_modelrt.clock import Clock

_WINDOW = re.compile(r"(?:\d+(?:h|ms|m|s))+")
_PART = re.compile(r"(\d+)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def window_seconds(text: str) -> float:
    """Length of a window written as ``2m`` or ``1h30m``.

    Raises:
        ValueError: it is written another way.
    """
    if not _WINDOW.fullmatch(text):
        raise ValueError(f"window {text!r} is not a duration such as 60s, 2m or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


@dataclass(frozen=True, slots=True)
class CounterKey:
    """One counter: whose hits are counted together."""

    namespace: str
    """The HTTPRoute, ``namespace/name``."""
    limit: str
    """Policy and limit, ``namespace/policy/limit#rate``."""
    values: tuple[str, ...]
    """Values of the limit's counter expressions, e.g. the user."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter that a request hits, with its limit."""

    key: CounterKey
    most: int
    window: float
    """Cluster seconds."""
    variables: tuple[str, ...] = ()
    """The expressions behind the key's values."""


@dataclass(slots=True)
class _Window:
    used: int
    ends: float


class Counters:
    """Counts in memory; a new instance knows nothing, as after a restart of Limitador."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[CounterKey, _Window] = {}
        self._limits: dict[CounterKey, Counter] = {}
        self.authorized: dict[str, int] = {}
        """Calls let through, by namespace."""
        self.limited: dict[str, int] = {}
        """Calls refused, by namespace."""

    def used(self, key: CounterKey) -> int:
        """Hits in the current window."""
        window = self._windows.get(key)
        return 0 if window is None or window.ends <= self._clock.monotonic() else window.used

    def check(self, counters: Iterable[Counter], hits: int = 1) -> bool:
        """Whether ``hits`` more stay within every limit; counts nothing."""
        return all(self.used(counter.key) + hits <= counter.most for counter in counters)

    def check_and_count(self, counters: Iterable[Counter]) -> bool:
        """Count one hit everywhere, unless that exceeds a limit: then nowhere."""
        held = list(counters)
        allowed = self.check(held)
        self.note(held, allowed=allowed)
        if allowed:
            self.add(held, 1)
        return allowed

    def add(self, counters: Iterable[Counter], hits: int) -> None:
        """Count ``hits``, whatever the limits say; a window begins with its first hit."""
        now = self._clock.monotonic()
        for counter in counters:
            window = self._windows.get(counter.key)
            if window is None or window.ends <= now:
                self._windows[counter.key] = window = _Window(0, now + counter.window)
            window.used += hits
            self._limits[counter.key] = counter

    def note(self, counters: Iterable[Counter], *, allowed: bool) -> None:
        """Remember a decision for the metrics."""
        tally = self.authorized if allowed else self.limited
        for namespace in {counter.key.namespace for counter in counters}:
            tally[namespace] = tally.get(namespace, 0) + 1

    def current(self, namespace: str) -> list[tuple[Counter, int, float]]:
        """Running windows of a namespace: counter, hits left (may be negative), cluster seconds to the end."""
        now = self._clock.monotonic()
        return [
            (self._limits[key], self._limits[key].most - window.used, window.ends - now)
            for key, window in self._windows.items()
            if key.namespace == namespace and window.ends > now
        ]
