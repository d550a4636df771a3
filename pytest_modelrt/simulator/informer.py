"""A local, always current copy of a collection: list once, then watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable
from contextlib import aclosing

import aiohttp

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.resources import Resource

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""

Handler = Callable[[str, Object, Object | None], None]
"""Called with ``ADDED``, ``MODIFIED`` or ``DELETED``, the object, and its previous version if there was one."""

Indexer = Callable[[Object], Iterable[Hashable]]

_RECONNECT_FIRST = 0.05
_RECONNECT_MOST = 2.0

log = logging.getLogger(__name__)


def key_of(obj: Object) -> Key:
    """The key of an object in caches and queues."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Informer:
    """Keeps ``cache`` equal to what the API server holds; reconnects and lists again as needed.

    Objects in the cache are shared: treat them as read-only.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.client = client
        self.resource = resource
        self.cache: dict[Key, Object] = {}
        self.synced = asyncio.Event()
        self._namespace = namespace
        self._labels = label_selector
        self._fields = field_selector
        self._handlers: list[Handler] = []
        self._indexers: dict[str, Indexer] = {}
        self._indices: dict[str, dict[Hashable, dict[Key, Object]]] = {}
        self._version = ""

    def on_change(self, handler: Handler) -> Callable[[], None]:
        """Call ``handler`` for every change from now on, and once per object already known.

        Returns a function that ends it.
        """
        self._handlers.append(handler)
        for obj in list(self.cache.values()):
            handler("ADDED", obj, None)
        return lambda: self._handlers.remove(handler)

    def add_index(self, name: str, indexer: Indexer) -> None:
        """Keep objects findable by the values ``indexer`` returns; call before ``run``."""
        self._indexers[name] = indexer
        self._indices[name] = {}
        for key, obj in self.cache.items():
            self._index(key, obj, add=True)

    def has_index(self, name: str) -> bool:
        """Whether an index of that name exists."""
        return name in self._indices

    def get(self, name: str, namespace: str = "") -> Object | None:
        """The cached object, if any."""
        return self.cache.get((namespace, name))

    def indexed(self, index: str, value: Hashable) -> list[Object]:
        """The cached objects for which the index holds ``value``."""
        return list(self._indices[index].get(value, {}).values())

    async def run(self) -> None:
        """List and watch until cancelled."""
        delay = _RECONNECT_FIRST
        while True:
            try:
                if not self._version:
                    await self._relist()
                await self._follow()
                delay = _RECONNECT_FIRST
            except ApiStatusError as error:
                if error.expired:
                    self._version = ""
                    continue
                log.warning("informer %s: %s", self.resource.plural, error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.debug("informer %s: connection lost: %s", self.resource.plural, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RECONNECT_MOST)

    async def _relist(self) -> None:
        listing = await self.client.list(
            self.resource, self._namespace, label_selector=self._labels, field_selector=self._fields
        )
        fresh = {key_of(item): item for item in listing.get("items") or []}
        for key in [key for key in self.cache if key not in fresh]:
            self._apply("DELETED", self.cache[key])
        for key, item in fresh.items():
            known = self.cache.get(key)
            if known is None or known["metadata"].get("resourceVersion") != item["metadata"].get("resourceVersion"):
                self._apply("ADDED" if known is None else "MODIFIED", item)
        self._version = listing["metadata"]["resourceVersion"]
        self.synced.set()

    async def _follow(self) -> None:
        events = self.client.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._labels,
            field_selector=self._fields,
        )
        async with aclosing(events):
            async for kind, obj in events:
                if kind != "BOOKMARK":
                    self._apply(kind, obj)
                self._version = obj["metadata"]["resourceVersion"]

    def _apply(self, kind: str, obj: Object) -> None:
        key = key_of(obj)
        old = self.cache.get(key)
        if old is not None:
            self._index(key, old, add=False)
        if kind == "DELETED":
            self.cache.pop(key, None)
        else:
            self.cache[key] = obj
            self._index(key, obj, add=True)
        for handler in tuple(self._handlers):
            try:
                handler(kind, obj, old)
            except Exception:
                log.exception("informer %s: handler failed on %s", self.resource.plural, key)

    def _index(self, key: Key, obj: Object, *, add: bool) -> None:
        for name, indexer in self._indexers.items():
            index = self._indices[name]
            for value in indexer(obj):
                if add:
                    index.setdefault(value, {})[key] = obj
                elif value in index:
                    index[value].pop(key, None)
                    if not index[value]:
                        del index[value]
