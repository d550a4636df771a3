"""Several watches as one queue, for code that waits for whatever comes first."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from functools import partial

from pytest_modelrt.clock import Clock
from pytest_modelrt.cluster.api import Api, Stopped
from pytest_modelrt.cluster.availability import FairDeadline
from pytest_modelrt.cluster.model import Resource, Selection, WatchEvent
from pytest_modelrt.cluster.watching import Watcher

Change = tuple[Resource, WatchEvent]
_STOP_CHECK = 0.2
"""Real seconds between looks at a caller's stop event."""


class Changes:
    """Follows its selections from ``__enter__`` to ``__exit__``, one thread each."""

    def __init__(self, api: Api, selections: Sequence[Selection]) -> None:
        self._clock: Clock = api.clock
        self._queue: queue.SimpleQueue[Change | Exception | None] = queue.SimpleQueue()
        self._unsynced = len(selections)
        self._watchers = [Watcher(api, selection, partial(self._put, selection.resource)) for selection in selections]
        self._threads = [
            threading.Thread(target=self._run, args=(watcher,), name="modelrt-watch", daemon=True)
            for watcher in self._watchers
        ]

    @property
    def synced(self) -> bool:
        """Whether everything present at the start has been returned by ``get``."""
        return self._unsynced == 0

    def __enter__(self) -> Changes:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.close()

    def get(self, seconds: float) -> Change | None:
        """The next change; ``None`` after ``seconds`` cluster seconds, and when a watch has just become complete.

        Raises what broke a watch for good: ApiError, ApiUnavailable.
        """
        try:
            item = self._queue.get(timeout=max(0.0, seconds) / self._clock.speed)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        if item is None:
            self._unsynced -= 1
        return item

    def until(self, deadline: FairDeadline, stop: threading.Event | None = None) -> Iterator[Change | None]:
        """Changes until the deadline or ``stop``; ``None`` whenever a watch has become complete."""
        longest = _STOP_CHECK * self._clock.speed if stop is not None else 5.0 * self._clock.speed
        while not (stop is not None and stop.is_set()):
            remaining = deadline.remaining
            if remaining <= 0:
                return
            unsynced = self._unsynced
            change = self.get(min(remaining, longest))
            if change is not None or unsynced != self._unsynced:
                yield change

    def _put(self, resource: Resource, event: WatchEvent | None) -> None:
        self._queue.put(None if event is None else (resource, event))

    def _run(self, watcher: Watcher) -> None:
        try:
            watcher.run()
        except Stopped:
            return
        except Exception as error:  # whoever reads the queue must hear of it, or it waits for ever
            self._queue.put(error)
