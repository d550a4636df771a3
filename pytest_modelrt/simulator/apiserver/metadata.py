"""Object metadata: decoded as a typed structure, owned in part by the server."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pytest_modelrt.simulator.apiserver import names
from pytest_modelrt.simulator.apiserver.errors import (
    Cause,
    StatusError,
    bad_request,
    conflict,
    forbidden_field,
    invalid,
    invalid_value,
    required,
)
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.schema.typed import check_types, decode_error
from pytest_modelrt.simulator.apiserver.values import JSON, copy, timestamp

_TEXTS = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "creationTimestamp",
          "deletionTimestamp")  # fmt: skip
_TEXT: JSON = {"type": "string"}
_TEXT_MAP: JSON = {"type": "object", "additionalProperties": {"type": "string", "nullable": True}}
_OWNER_FLAGS = {"controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"}}
_OWNER = {**dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT), **_OWNER_FLAGS}
_MANAGED_TEXTS = ("manager", "operation", "apiVersion", "time", "fieldsType", "subresource")
_MANAGED = {**dict.fromkeys(_MANAGED_TEXTS, _TEXT), "fieldsV1": {"type": "object"}}
_SCHEMA: JSON = {
    "type": "object",
    "properties": {
        **dict.fromkeys(_TEXTS, _TEXT),
        "generation": {"type": "integer"},
        "deletionGracePeriodSeconds": {"type": "integer"},
        "labels": _TEXT_MAP,
        "annotations": _TEXT_MAP,
        "finalizers": {"type": "array", "items": _TEXT},
        "ownerReferences": {"type": "array", "items": {"type": "object", "properties": _OWNER}},
        "managedFields": {"type": "array", "items": {"type": "object", "properties": _MANAGED}},
    },
}
_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_ANY_NAME_GROUPS = frozenset({"rbac.authorization.k8s.io"})


def decode(obj: JSON, resource: Resource, unknown: list[str]) -> JSON:
    """Fresh metadata: unknown keys noted and dropped, empty collections and nulls gone; 400 on bad types."""
    raw = obj.get("metadata")
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise decode_error(resource.kind, resource.version, "metadata", type(raw).__name__, "v1.ObjectMeta")
    found: JSON = {}
    for key, value in raw.items():
        if key not in _SCHEMA["properties"]:
            unknown.append(f"metadata.{key}")
        elif value is not None and value not in ({}, [], ""):
            found[key] = copy(value)
    check_types(found, _SCHEMA, resource.kind, resource.version, "metadata")
    for key in ("labels", "annotations"):
        if key in found:
            found[key] = {name: text or "" for name, text in found[key].items()}
    return found


def prepare_create(metadata: JSON, resource: Resource, namespace: str) -> None:
    """Fill in what the server owns on a new object; raises 400, 422 or 500."""
    if metadata.get("resourceVersion") not in (None, "", "0"):
        raise StatusError(500, "InternalError", "resourceVersion should not be set on objects to be created")
    if not metadata.get("name"):
        prefix = metadata.get("generateName")
        if not prefix:
            causes = [required("metadata.name", "name or generateName is required")]
            raise invalid(resource.kind_group, "", causes)
        metadata["name"] = names.generated(prefix)
    place(metadata, resource, namespace)
    for key in (*_SERVER_OWNED, "resourceVersion", "selfLink", "managedFields"):
        metadata.pop(key, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp()
    if resource.custom or resource.strategy.generation:
        metadata["generation"] = 1


def place(metadata: JSON, resource: Resource, namespace: str) -> None:
    """Namespace from the URL, checked against the body's."""
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    if metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = namespace


def prepare_update(metadata: JSON, old: JSON, resource: Resource) -> None:
    """Carry over what the server owns; raises 400, 409 or 422."""
    name = str(old["name"])
    if metadata.get("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    metadata["name"] = name
    place(metadata, resource, str(old.get("namespace", "")))
    uid = metadata.get("uid")
    if uid and uid != old["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['uid']}"
        raise conflict(resource, name, why)
    for key in _SERVER_OWNED:
        metadata.pop(key, None)
        if key in old:
            metadata[key] = old[key]
    if "generateName" in old:
        metadata["generateName"] = old["generateName"]
    metadata["resourceVersion"] = old["resourceVersion"]


def validate(metadata: JSON, old: JSON | None, resource: Resource) -> list[Cause]:
    """Name, labels, annotations, owners and finalizers."""
    causes: list[Cause] = []
    if old is None:
        anything = resource.group in _ANY_NAME_GROUPS
        causes += names.check_name(metadata["name"], label=resource.strategy.label_name, path_segment=anything)
    causes += names.check_labels(metadata.get("labels") or {}, "metadata.labels")
    for key in metadata.get("annotations") or {}:
        causes += names.check_qualified(key.lower(), "metadata.annotations")
    causes += _check_owners(metadata.get("ownerReferences") or [])
    causes += _check_finalizers(metadata.get("finalizers") or [], old)
    return causes


def _check_owners(owners: Sequence[Any]) -> list[Cause]:
    causes: list[Cause] = []
    controllers = 0
    for index, owner in enumerate(owners):
        where = f"metadata.ownerReferences[{index}]"
        for key in ("apiVersion", "kind", "name", "uid"):
            if not (isinstance(owner, dict) and owner.get(key)):
                causes.append(invalid_value(f"{where}.{key}", "", f"{key} must not be empty"))
        controllers += bool(isinstance(owner, dict) and owner.get("controller"))
    if controllers > 1:
        why = "Only one reference can have Controller set to true"
        causes.append(invalid_value("metadata.ownerReferences", "...", why))
    return causes


def _check_finalizers(finalizers: Sequence[Any], old: JSON | None) -> list[Cause]:
    causes = [cause for item in finalizers for cause in names.check_qualified(str(item), "metadata.finalizers")]
    if old is not None and old.get("deletionTimestamp"):
        added = [item for item in finalizers if item not in (old.get("finalizers") or [])]
        if added:
            listed = ", ".join(f'"{item}"' for item in added)
            why = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            causes.append(forbidden_field("metadata.finalizers", why))
    return causes
