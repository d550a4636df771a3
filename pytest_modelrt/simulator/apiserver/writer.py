"""Creating and updating objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_modelrt.simulator.apiserver import managed, metadata, pipeline
from pytest_modelrt.simulator.apiserver.admission import Admission, AdmissionRequest
from pytest_modelrt.simulator.apiserver.errors import (
    Cause,
    StatusError,
    already_exists,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from pytest_modelrt.simulator.apiserver.fieldset import with_metadata
from pytest_modelrt.simulator.apiserver.managed import Manager
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource
from pytest_modelrt.simulator.apiserver.store import Changed, Key, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import JSON, copy, dig

NAMESPACES = ("", "namespaces")

Change = Callable[[JSON], JSON]
"""From the object as stored to the wanted object; may share parts with its argument, must not change it."""


def key_of(resource: Resource, namespace: str, name: str) -> Key:
    """Where an object is stored."""
    return (namespace if resource.namespaced else "", name)


class Writer:
    """All writes but deletions go through here: one place for ownership, defaults, validation, admission."""

    def __init__(self, store: Store, catalog: Catalog, admission: Sequence[Admission] = ()) -> None:
        self.store = store
        self.catalog = catalog
        self.admission = list(admission)

    def find(self, resource: Resource, namespace: str, name: str) -> Snapshot:
        """The stored object; raises 404."""
        snapshot = self.store.get(resource.storage, namespace if resource.namespaced else "", name)
        if snapshot is None:
            raise not_found(resource, name)
        return snapshot

    async def create(self, resource: Resource, namespace: str, raw: Any, options: WriteOptions) -> Snapshot:
        """Store a new object; raises 400, 403, 404, 409, 422."""
        obj = pipeline.decode(raw, resource, options)
        return await self.create_decoded(resource, namespace, obj, options)

    async def create_decoded(
        self, resource: Resource, namespace: str, obj: JSON, options: WriteOptions, manager: Manager | None = None
    ) -> Snapshot:
        """Store a new, already decoded object. ``manager`` is given when managedFields are already right."""
        fields = obj["metadata"].get("managedFields")
        metadata.prepare_create(obj["metadata"], resource, namespace)
        name = obj["metadata"]["name"]
        if resource.namespaced:
            self._check_namespace(resource, namespace, name)
        if resource.has_status and not resource.strategy.keeps_status_on_create:
            obj.pop("status", None)
        pipeline.default(obj, resource)
        obj = await self._admit("CREATE", resource, obj, None, options)
        pipeline.check(obj, None, resource)
        resource.strategy.on_create(obj)
        schema = with_metadata(resource.schema)
        if manager is not None:
            managed.write(obj, fields or [])
        else:
            managed.track_create(obj, Manager(options.manager, "Update", resource.api_version), schema)
        key = key_of(resource, namespace, name)
        if self.store.get(resource.storage, *key) is not None:
            raise already_exists(resource, name)
        if options.dry_run:
            return Snapshot(key, obj, 0)
        if resource.namespaced:
            # Admission may have taken a while: the namespace must still be there.
            self._check_namespace(resource, namespace, name)
        return self.store.put(resource.storage, key, obj, None)

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        found = self.store.get(NAMESPACES, "", namespace)
        if found is None:
            raise StatusError(
                404, "NotFound", f'namespaces "{namespace}" not found', {"name": namespace, "kind": "namespaces"}
            )
        if found.object["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
            raise forbidden(resource, name, why, [cause])

    async def _admit(
        self, operation: str, resource: Resource, obj: JSON, old: JSON | None, options: WriteOptions, sub: str = ""
    ) -> JSON:
        meta = obj["metadata"]
        for hook in self.admission:
            request = AdmissionRequest(
                operation, resource, meta.get("namespace", ""), meta["name"], copy(obj), old, options.user, sub,
                options.dry_run,
            )  # fmt: skip
            changed = await hook(request)
            if changed is not None:
                changed["metadata"] = {**copy(changed["metadata"]), **_server_side(meta)}
                unknown = WriteOptions(options.user, field_validation="Ignore")
                shaped = pipeline.decode(changed, resource, unknown) if not resource.strategy.convert_in else changed
                pipeline.default(shaped, resource)
                obj = shaped
        return obj

    async def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Change,
        options: WriteOptions,
        *,
        subresource: str = "",
        patch: Any = None,
        replace: bool = False,
        manager: Manager | None = None,
    ) -> Snapshot:
        """Store a changed object, starting again when somebody else was faster.

        ``replace`` marks a PUT, ``patch`` is the patch a change came from, ``manager`` is given when ``change`` has
        already worked out managedFields. Raises 400, 404, 409, 422.
        """
        while True:
            current = self.find(resource, namespace, name)
            old = current.object
            raw = change(old)
            if replace and not dig(raw, "metadata", "resourceVersion") and resource.strategy.needs_version:
                raise pipeline.require_version(resource, name)
            obj = self._next(resource, old, raw, options, subresource, patch)
            if manager is None:
                written = Manager(options.manager, "Update", resource.api_version, subresource)
                managed.track_update(old, obj, written, with_metadata(resource.schema))
            obj = await self._admit("UPDATE", resource, obj, old, options, subresource)
            pipeline.check(obj, old, resource)
            if obj == old:
                return current
            _count_generation(obj, old, resource)
            if options.dry_run:
                return Snapshot(current.key, obj, current.revision)
            try:
                return self.commit(resource, current, obj)
            except Changed:
                continue

    def _next(
        self, resource: Resource, old: JSON, raw: JSON, options: WriteOptions, subresource: str, patch: Any
    ) -> JSON:
        """The object to store: decoded, with everything carried over that this path may not change."""
        name = old["metadata"]["name"]
        given = dig(raw, "metadata", "resourceVersion")
        if given and given != old["metadata"]["resourceVersion"]:
            raise conflict(resource, name)
        if patch is not None and dig(raw, "metadata", "uid") not in (None, old["metadata"].get("uid")):
            cause = Cause("FieldValueInvalid", "Invalid value: field is immutable", "metadata.uid")
            raise invalid(resource.kind_group, name, [cause])
        obj = pipeline.decode({**raw, **_header(raw, old, resource)}, resource, options, patch=patch)
        metadata.prepare_update(obj["metadata"], old["metadata"], resource)
        if subresource == "status":
            fields = obj["metadata"].get("managedFields")
            status = obj.get("status")
            obj = {**copy(old), "apiVersion": obj["apiVersion"]}
            obj.pop("status", None)
            if status is not None:
                obj["status"] = status
            managed.write(obj, fields or [])
        elif resource.has_status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = copy(old["status"])
        pipeline.default(obj, resource, old)
        return obj

    def commit(self, resource: Resource, current: Snapshot, obj: JSON) -> Snapshot:
        """Store ``obj`` over ``current``, or finish a deletion it was the last obstacle to; raises ``Changed``."""
        if deletion_complete(obj, resource):
            self.store.remove(resource.storage, current, obj)
            return Snapshot(current.key, obj, current.revision)
        return self.store.put(resource.storage, current.key, obj, current)


def deletion_complete(obj: JSON, resource: Resource) -> bool:
    """Whether a terminating object has nothing left to wait for."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if resource.storage == NAMESPACES:
        return not dig(obj, "spec", "finalizers")
    return not meta.get("deletionGracePeriodSeconds")


def _header(raw: JSON, old: JSON, resource: Resource) -> JSON:
    """Kind and version for bodies that leave them out (typed clients may), never for wrong ones."""
    found = {}
    if "apiVersion" not in raw or raw["apiVersion"] == old.get("apiVersion"):
        found["apiVersion"] = resource.api_version
    if "kind" not in raw:
        found["kind"] = resource.kind
    return found


def _server_side(meta: JSON) -> JSON:
    return {key: meta[key] for key in ("uid", "creationTimestamp", "resourceVersion", "generation") if key in meta}


def _count_generation(obj: JSON, old: JSON, resource: Resource) -> None:
    if not (resource.custom or resource.strategy.generation):
        return
    ignored = {"metadata", "apiVersion"} | ({"status"} if resource.has_status else set())
    keys = (set(obj) | set(old)) - ignored
    if any(obj.get(key) != old.get(key) for key in keys):
        obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
