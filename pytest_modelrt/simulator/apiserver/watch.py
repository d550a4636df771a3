"""Watches: a stream of changes to what a selection matches, from a revision on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.forms import INITIAL_EVENTS_END, Form
from pytest_modelrt.simulator.apiserver.reader import parse_version, truthy
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.selectors import Selection
from pytest_modelrt.simulator.apiserver.store import Collection, Event, Expired, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import encode

BOOKMARK_INTERVAL = 60.0
DEFAULT_TIMEOUT = 2700.0
QUEUE_LIMIT = 20_000
"""Events a slow client may fall behind before its watch is cut off."""


class Watch:
    """One open watch. Events are matched and encoded when they happen; ``batches`` hands them out."""

    def __init__(self, store: Store, resource: Resource, wanted: Selection, form: Form) -> None:
        self.resource = resource
        self.user_agent = ""
        self._store = store
        self._collection: Collection = store.collection(resource.storage)
        self._wanted = wanted
        self._form = form
        self._lines: list[bytes] = []
        self._wake = asyncio.Event()
        self._ended = False

    def open(self, query: Mapping[str, str]) -> None:
        """Queue what is already there and subscribe, in one step; raises 500 for a malformed version."""
        version = parse_version(query.get("resourceVersion", ""), code=500)
        initial = query.get("sendInitialEvents")
        if truthy(initial) if initial is not None else not version:
            for key in sorted(self._collection.objects):
                snapshot = self._collection.objects[key]
                if self._wanted.matches(snapshot.object):
                    self._lines.append(self._form.event("ADDED", snapshot))
            if initial is not None:
                self._lines.append(self._form.bookmark(self._store.revision, INITIAL_EVENTS_END))
        elif version:
            try:
                for event in self._collection.since(version):
                    self.offer(event)
            except Expired as error:
                status = StatusError(410, "Expired", f"too old resource version: {version} ({error.compacted})")
                self._lines.append(b'{"type":"ERROR","object":' + encode(status.body()) + b"}\n")
                self._ended = True
        if not self._ended:
            self._collection.listeners.add(self.offer)
        if self._lines or self._ended:
            self._wake.set()

    def close(self) -> None:
        """Unsubscribe; the stream ends after what is queued."""
        self._collection.listeners.discard(self.offer)
        self._ended = True
        self._wake.set()

    def offer(self, event: Event) -> None:
        """Queue ``event`` if it concerns this watch."""
        if self._wanted.namespace and event.snapshot.key[0] != self._wanted.namespace:
            return
        kind = self._kind(event)
        if not kind:
            return
        self._lines.append(self._encode(event, kind))
        if len(self._lines) > QUEUE_LIMIT:
            self._lines.clear()
            self.close()
        self._wake.set()

    def _kind(self, event: Event) -> str:
        before = event.previous is not None and self._wanted.matches(event.previous.object)
        if event.type == "DELETED":
            return "DELETED" if before else ""
        now = self._wanted.matches(event.snapshot.object)
        if now:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else ""

    def _encode(self, event: Event, kind: str) -> bytes:
        snapshot = event.snapshot
        left = kind == "DELETED" and event.type != "DELETED" and event.previous is not None
        if left and event.previous is not None:
            previous = event.previous.object
            meta = {**previous["metadata"], "resourceVersion": str(event.revision)}
            snapshot = Snapshot(snapshot.key, {**previous, "metadata": meta}, event.revision)
        if self._form.cache_key is None:
            return self._form.event(kind, snapshot)
        key = (kind, self._form.cache_key)
        line = event.lines.get(key)
        if line is None:
            line = event.lines[key] = self._form.event(kind, snapshot)
        return line

    async def next(self, timeout: float) -> bytes:
        """Everything queued, waiting up to ``timeout`` seconds for something; empty when nothing came."""
        if not self._lines and not self._ended:
            try:
                await asyncio.wait_for(self._wake.wait(), timeout)
            except TimeoutError:
                return b""
        self._wake.clear()
        lines, self._lines = self._lines, []
        return b"".join(lines)

    def bookmark(self) -> bytes:
        """A bookmark at this moment: everything up to it has been queued already."""
        return self._form.bookmark(self._store.revision)

    @property
    def ended(self) -> bool:
        """Whether nothing more will be queued."""
        return self._ended and not self._lines


class Watches:
    """All open watches, so that they can be ended."""

    def __init__(self) -> None:
        self._open: set[Watch] = set()

    def add(self, watch: Watch) -> None:
        """Remember an open watch."""
        self._open.add(watch)

    def remove(self, watch: Watch) -> None:
        """Forget a finished watch."""
        self._open.discard(watch)

    def __len__(self) -> int:
        return len(self._open)

    def end(self, storage: tuple[str, str] | None = None) -> None:
        """End all watches, or those on one collection."""
        for watch in tuple(self._open):
            if storage is None or watch.resource.storage == storage:
                watch.close()
