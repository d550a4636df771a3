"""Emptying terminating namespaces."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.deletion import DeleteOptions, Deleter
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.housekeeping.job import OPTIONS, Job, builtin
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource
from pytest_modelrt.simulator.apiserver.store import Event, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import JSON, copy, timestamp
from pytest_modelrt.simulator.apiserver.writer import NAMESPACES, Writer


class NamespaceTermination(Job[str]):
    """Deletes everything in a terminating namespace, then lets it go."""

    def __init__(self, store: Store, catalog: Catalog, writer: Writer, deleter: Deleter) -> None:
        super().__init__(store)
        self._catalog = catalog
        self._writer = writer
        self._deleter = deleter
        self._terminating: set[str] = set()

    def observe(self, event: Event) -> None:
        """Mark namespaces that start to terminate, or lose an object while they do."""
        if event.storage == NAMESPACES:
            name = event.snapshot.key[1]
            if event.type == "DELETED":
                self._terminating.discard(name)
            elif event.snapshot.object["metadata"].get("deletionTimestamp") and name not in self._terminating:
                self._terminating.add(name)
                self.mark(name)
        elif event.snapshot.key[0] in self._terminating and event.type == "DELETED":
            self.mark(event.snapshot.key[0])

    async def reconcile(self, key: str) -> None:
        """Delete what is left; finalize when nothing is."""
        name = key
        remaining: list[tuple[Resource, Snapshot]] = []
        for resource in list(self._catalog.stored()):
            if not resource.namespaced or "delete" not in resource.verbs:
                continue
            for place in [place for place in self.store.collection(resource.storage).objects if place[0] == name]:
                await self._delete(resource, place[1], name)
                left = self.store.get(resource.storage, *place)
                if left is not None:
                    remaining.append((resource, left))
        namespace = self.store.get(NAMESPACES, "", name)
        if namespace is None or not namespace.object["metadata"].get("deletionTimestamp"):
            return
        resource = builtin(self._catalog, "", "v1", "namespaces")
        obj = copy(namespace.object)
        if remaining:
            obj.setdefault("status", {})["conditions"] = _conditions(remaining, obj)
            if obj != namespace.object:
                self._writer.commit(resource, namespace, obj)
            return
        obj["spec"] = {}
        self._writer.commit(resource, namespace, obj)

    async def _delete(self, resource: Resource, name: str, namespace: str) -> None:
        snapshot = self.store.get(resource.storage, namespace, name)
        if snapshot is None or snapshot.object["metadata"].get("deletionTimestamp"):
            return
        try:
            await self._deleter.delete(resource, namespace, name, DeleteOptions("Background"), OPTIONS)
        except StatusError as error:
            if error.code != 404:
                raise


def _conditions(remaining: list[tuple[Resource, Snapshot]], obj: JSON) -> list[JSON]:
    """What keeps the namespace, in the words of the real controller."""
    counts: dict[str, int] = {}
    finalizers: dict[str, int] = {}
    for resource, snapshot in remaining:
        counts[resource.qualified] = counts.get(resource.qualified, 0) + 1
        for item in snapshot.object["metadata"].get("finalizers") or []:
            finalizers[item] = finalizers.get(item, 0) + 1
    content = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(counts.items()))
    held = ", ".join(f"{item} in {count} resource instances" for item, count in sorted(finalizers.items()))
    found: list[tuple[str, str, str, str]] = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
         "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted",
         "All content successfully deleted, may be waiting on finalization"),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {content}"),
    ]  # fmt: skip
    if finalizers:
        text = f"Some content in the namespace has finalizers remaining: {held}"
        found.append(("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", text))
    before: dict[Any, JSON] = {item.get("type"): item for item in (obj.get("status") or {}).get("conditions") or []}
    result = []
    for kind, status, reason, message in found:
        old = before.get(kind, {})
        since = old["lastTransitionTime"] if old.get("status") == status else timestamp()
        item = {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
        result.append(item)
    return result
