"""Garbage collection by owner references: background, foreground and orphan."""

from __future__ import annotations

from pytest_modelrt.simulator.apiserver.deletion import FOREGROUND, ORPHAN, DeleteOptions, Deleter
from pytest_modelrt.simulator.apiserver.housekeeping.job import OPTIONS, Job
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource, StorageKey
from pytest_modelrt.simulator.apiserver.store import Event, Key, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import JSON, copy
from pytest_modelrt.simulator.apiserver.writer import Writer

Place = tuple[StorageKey, Key]


def owners(obj: JSON) -> list[JSON]:
    """The owner references of an object."""
    found: list[JSON] = obj["metadata"].get("ownerReferences") or []
    return found


class GarbageCollector(Job[Place]):
    """Deletes what has lost all its owners, and carries out foreground and orphan deletions."""

    def __init__(self, store: Store, catalog: Catalog, writer: Writer, deleter: Deleter) -> None:
        super().__init__(store)
        self._catalog = catalog
        self._writer = writer
        self._deleter = deleter
        self._places: dict[str, Place] = {}
        self._dependents: dict[str, dict[Place, None]] = {}

    def observe(self, event: Event) -> None:
        """Keep the owner index; mark dependents of deleted owners and owners that wait for dependents."""
        obj, place = event.snapshot.object, (event.storage, event.snapshot.key)
        uid = obj["metadata"]["uid"]
        if event.previous is not None:
            for owner in owners(event.previous.object):
                self._dependents.get(owner["uid"], {}).pop(place, None)
        if event.type == "DELETED":
            self._places.pop(uid, None)
            for dependent in self._dependents.pop(uid, {}):
                self.mark(dependent)
            for owner in owners(obj):
                if owner["uid"] in self._places:
                    self._mark_waiting(self._places[owner["uid"]])
            return
        self._places[uid] = place
        for owner in owners(obj):
            self._dependents.setdefault(owner["uid"], {})[place] = None
        if owners(obj) and (event.previous is None or owners(event.previous.object) != owners(obj)):
            self.mark(place)
            for owner in owners(event.previous.object) if event.previous is not None else []:
                if owner["uid"] in self._places:
                    self._mark_waiting(self._places[owner["uid"]])
        self._mark_waiting(place)

    def _mark_waiting(self, place: Place) -> None:
        snapshot = self.store.get(place[0], *place[1])
        if snapshot is not None and _policy(snapshot.object):
            self.mark(place)

    async def reconcile(self, key: Place) -> None:
        """Look at one object as an owner that is going, then as a dependent."""
        storage, (namespace, name) = key
        snapshot = self.store.get(storage, namespace, name)
        resource = next((item for item in self._catalog.stored() if item.storage == storage), None)
        if snapshot is None or resource is None:
            return
        policy = _policy(snapshot.object)
        if policy == ORPHAN:
            self._orphan(resource, snapshot)
        elif policy == FOREGROUND:
            await self._foreground(resource, snapshot)
        elif owners(snapshot.object):
            await self._judge(resource, snapshot)

    def _alive(self, owner: JSON, namespace: str) -> Snapshot | None:
        place = self._places.get(owner["uid"])
        if place is None or place[1][0] not in ("", namespace):
            return None
        return self.store.get(place[0], *place[1])

    async def _judge(self, resource: Resource, snapshot: Snapshot) -> None:
        """Delete an object all of whose owners are gone, or are going and wait for it."""
        namespace, name = snapshot.key
        found = [self._alive(owner, namespace) for owner in owners(snapshot.object)]
        waiting = [owner for owner in found if owner is not None and _policy(owner.object) == FOREGROUND]
        solid = [owner for owner in found if owner is not None and owner not in waiting]
        if solid or snapshot.object["metadata"].get("deletionTimestamp"):
            return
        policy = "Foreground" if waiting and self._has_dependents(snapshot) else "Background"
        wish = DeleteOptions(policy, uid=snapshot.object["metadata"]["uid"])
        await self._deleter.delete(resource, namespace, name, wish, OPTIONS)

    def _has_dependents(self, snapshot: Snapshot) -> bool:
        return bool(self._dependents.get(snapshot.object["metadata"]["uid"]))

    async def _foreground(self, resource: Resource, snapshot: Snapshot) -> None:
        uid = snapshot.object["metadata"]["uid"]
        blocked = False
        for place in list(self._dependents.get(uid, {})):
            dependent = self.store.get(place[0], *place[1])
            if dependent is None:
                continue
            blocked = blocked or any(o["uid"] == uid and o.get("blockOwnerDeletion") for o in owners(dependent.object))
            self.mark(place)
        if not blocked:
            self._drop_finalizer(resource, snapshot, FOREGROUND)

    def _orphan(self, resource: Resource, snapshot: Snapshot) -> None:
        uid = snapshot.object["metadata"]["uid"]
        for place in list(self._dependents.get(uid, {})):
            dependent = self.store.get(place[0], *place[1])
            held = next((item for item in self._catalog.stored() if item.storage == place[0]), None)
            if dependent is None or held is None:
                continue
            obj = copy(dependent.object)
            rest = [owner for owner in owners(obj) if owner["uid"] != uid]
            obj["metadata"]["ownerReferences"] = rest
            if not rest:
                del obj["metadata"]["ownerReferences"]
            self._writer.commit(held, dependent, obj)
        self._drop_finalizer(resource, snapshot, ORPHAN)

    def _drop_finalizer(self, resource: Resource, snapshot: Snapshot, finalizer: str) -> None:
        obj = copy(snapshot.object)
        rest = [item for item in obj["metadata"].get("finalizers") or [] if item != finalizer]
        obj["metadata"]["finalizers"] = rest
        if not rest:
            del obj["metadata"]["finalizers"]
        self._writer.commit(resource, snapshot, obj)


def _policy(obj: JSON) -> str:
    """The finalizer by which a going object waits for the collector; empty when it does not."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp"):
        return ""
    finalizers = meta.get("finalizers") or []
    return ORPHAN if ORPHAN in finalizers else FOREGROUND if FOREGROUND in finalizers else ""
