"""CustomResourceDefinitions: validation, status, and serving what they define."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_modelrt.simulator.apiserver import jsonpath
from pytest_modelrt.simulator.apiserver.errors import Cause, invalid_value, required
from pytest_modelrt.simulator.apiserver.humanize import age
from pytest_modelrt.simulator.apiserver.kinds.columns import AGE, NAME
from pytest_modelrt.simulator.apiserver.resources import (
    ALL_VERBS,
    Catalog,
    Column,
    Resource,
    StorageKey,
    Strategy,
    Subresource,
)
from pytest_modelrt.simulator.apiserver.schema.shape import fill_defaults
from pytest_modelrt.simulator.apiserver.store import Event, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import JSON, copy, dig, timestamp

CRD_GROUP = "apiextensions.k8s.io"
CRDS: StorageKey = (CRD_GROUP, "customresourcedefinitions")
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
APPROVAL = "api-approved.kubernetes.io"
_APPROVAL_POLICY = "https://github.com/kubernetes/enhancements/pull/1111"

log = logging.getLogger(__name__)


def crd_defaults(obj: JSON) -> None:
    """Singular, list kind, conversion; and status in step with the spec, as the naming controllers keep it."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")
    spec.setdefault("conversion", {"strategy": "None"})


def crd_created(obj: JSON) -> None:
    """A definition is accepted and established at once."""
    now = timestamp()
    storage = [version["name"] for version in obj["spec"]["versions"] if version.get("storage")]
    conditions = [
        {"type": "NamesAccepted", "reason": "NoConflicts", "message": "no conflicts found"},
        {"type": "Established", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"},
    ]
    obj["status"] = {
        "conditions": [{**item, "status": "True", "lastTransitionTime": now} for item in conditions],
        "acceptedNames": copy(obj["spec"]["names"]),
        "storedVersions": storage,
    }


def crd_validate(obj: JSON, old: JSON | None) -> list[Cause]:
    """Name, scope, versions and structural schemas."""
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    wanted = f"{dig(spec, 'names', 'plural')}.{spec.get('group')}"
    if obj["metadata"]["name"] != wanted:
        causes.append(
            invalid_value("metadata.name", obj["metadata"]["name"], 'must be spec.names.plural+"."+spec.group')
        )
    group = str(spec.get("group"))
    if group.endswith((".k8s.io", ".kubernetes.io")) and not dig(obj, "metadata", "annotations", APPROVAL):
        text = f'protected groups must have approval annotation "{APPROVAL}", see {_APPROVAL_POLICY}'
        causes.append(required(f"metadata.annotations[{APPROVAL}]", text))
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        causes.append(invalid_value("spec.scope", spec.get("scope"), "must be Cluster or Namespaced"))
    versions = spec.get("versions") or []
    if sum(1 for version in versions if version.get("storage")) != 1:
        causes.append(invalid_value("spec.versions", "...", "must have exactly one version marked as storage version"))
    for index, version in enumerate(versions):
        where = f"spec.versions[{index}]"
        schema = dig(version, "schema", "openAPIV3Schema")
        if not isinstance(schema, dict):
            causes.append(required(f"{where}.schema.openAPIV3Schema", "schemas are required"))
        elif schema.get("type") != "object":
            field = f"{where}.schema.openAPIV3Schema.type"
            causes.append(required(field, "must not be empty at the root") if not schema.get("type") else
                          invalid_value(field, schema.get("type"), "must be object at the root"))  # fmt: skip
        for place, column in enumerate(version.get("additionalPrinterColumns") or []):
            causes += _check_column(column, f"{where}.additionalPrinterColumns[{place}]")
    if old is not None:
        for field in ("group", "scope"):
            if dig(old, "spec", field) != spec.get(field):
                causes.append(invalid_value(f"spec.{field}", spec.get(field), "field is immutable"))
    return causes


def _check_column(column: Any, where: str) -> list[Cause]:
    try:
        jsonpath.parse(str(dig(column, "jsonPath") or ""))
    except ValueError as error:
        return [invalid_value(f"{where}.jsonPath", dig(column, "jsonPath"), str(error))]
    return [] if dig(column, "name") and dig(column, "type") else [required(f"{where}.name")]


def strategy() -> Strategy:
    """The strategy of the definitions themselves."""
    return Strategy(crd_defaults, crd_created, crd_validate, generation=True, deletion_finalizer=CLEANUP)


def _cell(path: str, kind: str) -> Callable[[JSON], Any]:
    def cell(obj: JSON) -> Any:
        found = jsonpath.find(obj, path)
        if not found or found[0] is None:
            return None
        if kind == "string":
            return jsonpath.printed(found)
        if kind == "date":
            return age(found[0])
        if kind == "integer":
            return int(found[0]) if isinstance(found[0], int | float) else None
        return found[0]

    return cell


def _columns(version: JSON) -> tuple[Column, ...]:
    declared = version.get("additionalPrinterColumns")
    if not declared:
        return (NAME, AGE)
    return (
        NAME,
        *(
            Column(
                item["name"],
                _cell(item["jsonPath"], item["type"]),
                item["type"],
                item.get("format", ""),
                item.get("description", ""),
                item.get("priority", 0),
            )
            for item in declared
        ),
    )


def count_rules(schema: Any) -> int:
    """How many CEL rules (``x-kubernetes-validations``) a schema holds."""
    if isinstance(schema, dict):
        own = schema.get("x-kubernetes-validations")
        here = len(own) if isinstance(own, list) else 0
        return here + sum(count_rules(item) for key, item in schema.items() if key != "x-kubernetes-validations")
    return sum(count_rules(item) for item in schema) if isinstance(schema, list) else 0


def resources_of(crd: JSON) -> list[Resource]:
    """What a definition serves: one resource per served version, all kept in one collection."""
    spec = crd["spec"]
    names = spec["names"]
    found = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subs = version.get("subresources") or {}
        served = [Subresource("status")] if "status" in subs else []
        if "scale" in subs:
            served.append(Subresource("scale", kind="Scale", group="autoscaling", version="v1"))
        selectable = [str(item["jsonPath"]).lstrip(".") for item in version.get("selectableFields") or []]
        found.append(
            Resource(
                spec["group"],
                version["name"],
                names["plural"],
                names["kind"],
                spec["scope"] == "Namespaced",
                names.get("singular", ""),
                names.get("listKind", ""),
                tuple(names.get("shortNames") or ()),
                tuple(names.get("categories") or ()),
                ALL_VERBS,
                tuple(served),
                dig(version, "schema", "openAPIV3Schema") or {},
                _columns(version),
                Strategy(needs_version=True, field_labels={field: tuple(field.split(".")) for field in selectable}),
                custom=True,
                scale_paths=subs.get("scale"),
            )
        )
    return found


class CrdController:
    """Keeps the catalog in step with the stored definitions, and empties a deleted one before it goes."""

    def __init__(self, store: Store, catalog: Catalog, end_watches: Callable[[StorageKey], None]) -> None:
        self._store = store
        self._catalog = catalog
        self._end_watches = end_watches
        self._specs: dict[str, JSON] = {}
        self._terminating: dict[StorageKey, str] = {}
        self.delete_instances: Callable[[Resource], Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        store.listeners.append(self._on_event)

    def _on_event(self, event: Event) -> None:
        if event.storage == CRDS:
            if event.type == "DELETED":
                self._forget(event.snapshot)
            else:
                self._serve(event.snapshot)
        elif event.type == "DELETED" and event.storage in self._terminating:
            self._later(self._finish(self._terminating[event.storage]))

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _serve(self, snapshot: Snapshot) -> None:
        crd = snapshot.object
        name, spec = crd["metadata"]["name"], crd["spec"]
        before = self._specs.get(name)
        if before != spec:
            wanted = resources_of(crd)
            if before is not None:
                for version in before["versions"]:
                    if version["name"] not in {resource.version for resource in wanted}:
                        self._catalog.remove(before["group"], version["name"], before["names"]["plural"])
            for resource in wanted:
                self._catalog.add(resource)
            self._specs[name] = spec
            self._redefault(crd)
            rules = count_rules(spec)
            if rules:
                log.warning("%s: %d CEL validation rules are stored but not evaluated", name, rules)
        if crd["metadata"].get("deletionTimestamp"):
            storage = (spec["group"], spec["names"]["plural"])
            if storage not in self._terminating:
                self._terminating[storage] = name
                for resource in resources_of(crd):
                    # No new instances, or emptying it would never end.
                    verbs = tuple(verb for verb in ALL_VERBS if verb != "create")
                    self._catalog.add(replace(resource, verbs=verbs))
                self._later(self._empty(crd))

    def _redefault(self, crd: JSON) -> None:
        """New defaults show in stored objects at once, without a write, as defaulting on read does."""
        schema = next(
            (dig(item, "schema", "openAPIV3Schema") for item in crd["spec"]["versions"] if item.get("storage")), None
        )
        held = self._store.collection((crd["spec"]["group"], crd["spec"]["names"]["plural"])).objects
        for key, snapshot in list(held.items()):
            obj = copy(snapshot.object)
            fill_defaults(obj, schema or {})
            if obj != snapshot.object:
                held[key] = Snapshot(key, obj, snapshot.revision)

    def _forget(self, snapshot: Snapshot) -> None:
        spec = snapshot.object["spec"]
        storage = (spec["group"], spec["names"]["plural"])
        self._specs.pop(snapshot.object["metadata"]["name"], None)
        self._terminating.pop(storage, None)
        for version in spec["versions"]:
            self._catalog.remove(spec["group"], version["name"], spec["names"]["plural"])
        self._end_watches(storage)

    async def _empty(self, crd: JSON) -> None:
        """Delete all instances, then let the definition go."""
        spec = crd["spec"]
        storage = (spec["group"], spec["names"]["plural"])
        self._mark_terminating(crd["metadata"]["name"])
        resource = next((item for item in self._catalog.stored() if item.storage == storage), None)
        if resource is not None and self.delete_instances is not None:
            await self.delete_instances(resource)
        await self._finish(crd["metadata"]["name"])

    def _mark_terminating(self, name: str) -> None:
        snapshot = self._store.get(CRDS, "", name)
        if snapshot is None:
            return
        obj = copy(snapshot.object)
        condition = {
            "type": "Terminating",
            "status": "True",
            "lastTransitionTime": timestamp(),
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        }
        conditions = obj.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [item for item in conditions if item.get("type") != "Terminating"] + [condition]
        self._store.put(CRDS, ("", name), obj, snapshot)

    async def _finish(self, name: str) -> None:
        snapshot = self._store.get(CRDS, "", name)
        if snapshot is None:
            return
        spec = snapshot.object["spec"]
        if self._store.collection((spec["group"], spec["names"]["plural"])).objects:
            return
        obj = copy(snapshot.object)
        rest = [item for item in obj["metadata"].get("finalizers") or [] if item != CLEANUP]
        obj["metadata"]["finalizers"] = rest
        if rest:
            self._store.put(CRDS, ("", name), obj, snapshot)
        else:
            self._store.remove(CRDS, snapshot, obj)
