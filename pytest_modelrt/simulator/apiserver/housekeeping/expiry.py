"""Events vanish an hour (of cluster time) after they were last written."""

from __future__ import annotations

import asyncio
from collections import deque

from pytest_modelrt.simulator.apiserver.housekeeping.job import Job
from pytest_modelrt.simulator.apiserver.store import Event, Key, Store

_EVENTS = ("", "events")
LIFETIME = 3600.0
"""Cluster seconds."""


class EventExpiry(Job[tuple[Key, int]]):
    """Removes old events."""

    def __init__(self, store: Store, speed: float) -> None:
        super().__init__(store)
        self._lifetime = LIFETIME / speed
        self._due: deque[tuple[float, Key, int]] = deque()

    def observe(self, event: Event) -> None:
        """Remember when an event was written."""
        if event.storage == _EVENTS and event.type != "DELETED":
            due = asyncio.get_running_loop().time() + self._lifetime
            self._due.append((due, event.snapshot.key, event.revision))
            self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                due, key, revision = self._due[0]
                await asyncio.sleep(max(0.0, due - loop.time()))
                self._due.popleft()
                await self.reconcile((key, revision))

    async def reconcile(self, key: tuple[Key, int]) -> None:
        """Remove one event unless it was written again since."""
        (namespace, name), revision = key
        current = self.store.get(_EVENTS, namespace, name)
        if current is not None and current.revision == revision:
            self.store.remove(_EVENTS, current)
