"""The frame of a job: keys marked by store events, worked off one at a time in a task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from typing import Generic, TypeVar

from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource
from pytest_modelrt.simulator.apiserver.store import Changed, Event, Store

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

OPTIONS = WriteOptions(manager="kube-controller-manager", field_validation="Ignore")


class Job(Generic[K]):
    """Follows the store and reconciles what it marked."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._marked: dict[K, None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow the store's events from now on."""
        self.store.listeners.append(self.observe)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop following."""
        if self._task is None:
            return
        self.store.listeners.remove(self.observe)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def observe(self, event: Event) -> None:
        """Called with every event; marks what it concerns."""
        raise NotImplementedError

    async def reconcile(self, key: K) -> None:
        """Put right what was marked; may raise StatusError or Changed, then it is tried again if still needed."""
        raise NotImplementedError

    def mark(self, key: K) -> None:
        """Have ``key`` reconciled soon."""
        self._marked[key] = None
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._marked:
                key = next(iter(self._marked))
                del self._marked[key]
                await self._attempt(key)

    async def _attempt(self, key: K) -> None:
        try:
            await self.reconcile(key)
        except Changed:
            self.mark(key)
        except StatusError as error:
            if error.code == 409 and error.reason == "Conflict":
                self.mark(key)
            elif error.code != 404:
                log.warning("%s of %s: %s", type(self).__name__, key, error.message)
        except Exception:
            log.exception("%s of %s failed", type(self).__name__, key)
        # Let requests in between two keys.
        await asyncio.sleep(0)


def builtin(catalog: Catalog, group: str, version: str, plural: str) -> Resource:
    """A built-in resource."""
    found = catalog.find(group, version, plural)
    if found is None:
        raise LookupError(plural)
    return found
