"""A keyed work queue: each key is worked on by one worker at a time, failures are retried with back-off."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from pytest_modelrt.clock import Clock

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

Reconcile = Callable[[K], Awaitable[float | None]]
"""Brings one key to its wanted state; returns cluster seconds after which to look again, or ``None``."""


class WorkQueue(Generic[K]):
    """Runs ``reconcile`` for added keys; a key added while it is worked on runs once more afterwards.

    Durations are cluster seconds. A failure is retried after ``first_retry``, doubling up to ``longest_retry``,
    the defaults of controller-runtime.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile[K],
        clock: Clock,
        *,
        workers: int = 1,
        first_retry: float = 0.005,
        longest_retry: float = 1000.0,
        on_error: Callable[[K, Exception], None] | None = None,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._first_retry = first_retry
        self._longest_retry = longest_retry
        self._on_error = on_error or self._log_error
        self.paused: Callable[[], float] = lambda: 0.0
        """Cluster seconds for which nothing is to be done; 0: go on."""
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    @property
    def clock(self) -> Clock:
        """The clock of its delays."""
        return self._clock

    def add(self, key: K) -> None:
        """Work on ``key`` as soon as a worker is free."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Work on ``key`` in ``seconds`` cluster seconds, unless something earlier is planned."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, seconds) / self._clock.speed
        timer = self._timers.get(key)
        if key in self._waiting or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work(), name=f"{self.name}-worker")
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                pause = self.paused()
                if not pause:
                    await self._once(key)
                elif math.isfinite(pause):
                    self.add_after(key, pause)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _once(self, key: K) -> None:
        try:
            requeue = await self._reconcile(key)
        except Exception as error:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self._on_error(key, error)
            self.add_after(key, min(self._longest_retry, self._first_retry * 2.0 ** min(failures, 60)))
        else:
            self._failures.pop(key, None)
            if requeue is not None:
                self.add_after(key, requeue)

    def _log_error(self, key: K, error: Exception) -> None:
        level = logging.DEBUG if getattr(error, "conflict", False) else logging.WARNING
        log.log(level, "%s: %s failed: %s", self.name, key, error or type(error).__name__)
