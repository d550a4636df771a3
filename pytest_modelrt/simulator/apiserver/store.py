"""The store: immutable snapshots, one revision counter, an event log per collection, and its watchers.

Everything here is synchronous and runs on the event loop, so one call is one critical section: the revision, the
snapshot, the log entry and the delivery to watchers can never be seen apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from pytest_modelrt.simulator.apiserver.resources import StorageKey
from pytest_modelrt.simulator.apiserver.values import JSON, encode

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Snapshot:
    """One object at one revision. Nobody may change ``object``; copy it first."""

    __slots__ = ("_body", "key", "object", "revision")

    def __init__(self, key: Key, obj: JSON, revision: int) -> None:
        self.key = key
        self.object = obj
        self.revision = revision
        self._body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The object's JSON without ``apiVersion``, ``kind`` and the opening brace: ``"metadata":{...},...}``."""
        if self._body is None:
            rest = {key: value for key, value in self.object.items() if key not in ("apiVersion", "kind")}
            self._body = encode(rest)[1:]
        return self._body


@dataclass(slots=True, eq=False)
class Event:
    """One change. ``previous`` is the snapshot before it, None for a creation."""

    type: EventType
    storage: StorageKey
    snapshot: Snapshot
    previous: Snapshot | None
    lines: dict[object, bytes] = field(default_factory=dict)
    """Encoded forms, filled in by watchers so that each is made once for all of them."""

    @property
    def revision(self) -> int:
        """The revision of the change."""
        return self.snapshot.revision


class Changed(Exception):
    """The object is no longer the snapshot the writer started from."""


class Expired(Exception):
    """The wanted revision is older than the kept log."""

    def __init__(self, compacted: int) -> None:
        super().__init__(str(compacted))
        self.compacted = compacted


Listener = Callable[[Event], None]


class Collection:
    """All objects of one group and plural, with their recent history."""

    def __init__(self, storage: StorageKey, window: int, revision: int) -> None:
        self.storage = storage
        self.window = window
        self.compacted = revision
        self.objects: dict[Key, Snapshot] = {}
        self.log: deque[Event] = deque()
        self.listeners: set[Listener] = set()

    def record(self, event: Event) -> None:
        """Append to the log, dropping what is older than the window, and tell the listeners."""
        self.log.append(event)
        while len(self.log) > self.window:
            self.compacted = self.log.popleft().revision
        for listener in tuple(self.listeners):
            listener(event)

    def since(self, revision: int) -> list[Event]:
        """Events after ``revision``, oldest first; raises :class:`Expired` when some are gone."""
        if revision < self.compacted:
            raise Expired(self.compacted)
        found: list[Event] = []
        for event in reversed(self.log):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def at(self, revision: int) -> list[Snapshot]:
        """The objects as they were at ``revision``, by namespace and name; raises :class:`Expired`."""
        objects = self.objects
        later = self.since(revision)
        if later:
            objects = dict(objects)
            for event in reversed(later):
                if event.previous is None:
                    objects.pop(event.snapshot.key, None)
                else:
                    objects[event.snapshot.key] = event.previous
        return [objects[key] for key in sorted(objects)]


class Store:
    """All collections and the counter they share."""

    def __init__(self, window: int = 1000) -> None:
        self.revision = 1
        self._window = window
        self._collections: dict[StorageKey, Collection] = {}
        self.listeners: list[Listener] = []
        """Called with every event of every collection, in order, before the write returns."""

    @property
    def window(self) -> int:
        """Events kept per collection."""
        return self._window

    @window.setter
    def window(self, size: int) -> None:
        self._window = size
        for held in self._collections.values():
            held.window = size
            while len(held.log) > size:
                held.compacted = held.log.popleft().revision

    def collection(self, storage: StorageKey) -> Collection:
        """The collection, created empty when it is new."""
        found = self._collections.get(storage)
        if found is None:
            # An empty collection has lost nothing: any older revision is fine to watch from.
            found = self._collections[storage] = Collection(storage, self._window, 0)
        return found

    def collections(self) -> Iterable[Collection]:
        """All collections that were ever used."""
        return self._collections.values()

    def get(self, storage: StorageKey, namespace: str, name: str) -> Snapshot | None:
        """One object, or None."""
        return self.collection(storage).objects.get((namespace, name))

    def put(self, storage: StorageKey, key: Key, obj: JSON, expected: Snapshot | None) -> Snapshot:
        """Store ``obj`` (from now on immutable) where ``expected`` is now; raises :class:`Changed`."""
        held = self.collection(storage)
        if held.objects.get(key) is not expected:
            raise Changed
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        snapshot = Snapshot(key, obj, self.revision)
        held.objects[key] = snapshot
        self._publish(held, Event("MODIFIED" if expected else "ADDED", storage, snapshot, expected))
        return snapshot

    def remove(self, storage: StorageKey, expected: Snapshot, last: JSON | None = None) -> Snapshot:
        """Remove the object; ``last`` is its final state when it differs. Raises :class:`Changed`."""
        held = self.collection(storage)
        if held.objects.get(expected.key) is not expected:
            raise Changed
        self.revision += 1
        final = dict(last or expected.object)
        final["metadata"] = {**final["metadata"], "resourceVersion": str(self.revision)}
        snapshot = Snapshot(expected.key, final, self.revision)
        del held.objects[expected.key]
        self._publish(held, Event("DELETED", storage, snapshot, expected))
        return snapshot

    def _publish(self, held: Collection, event: Event) -> None:
        held.record(event)
        for listener in self.listeners:
            listener(event)
