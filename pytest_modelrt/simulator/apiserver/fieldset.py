"""Sets of field paths in the FieldsV1 form: nested dictionaries whose keys name a step.

``f:name`` is an object's field, ``k:{"name":"x"}`` an item of a keyed list, ``v:"x"`` a member of a set. A node with no
children is in the set; a node with children is in the set only when it holds ``.``. Nodes are never changed in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pytest_modelrt.simulator.apiserver.values import JSON, encode

FieldSet = dict[str, Any]

METADATA_SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {
            "type": "array",
            "x-kubernetes-list-type": "set",
            "items": {"type": "string"},
            "x-kubernetes-patch-strategy": "merge",
        },
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-merge-key": "uid",
            "x-kubernetes-patch-strategy": "merge",
            "items": {"type": "object", "x-kubernetes-map-type": "atomic"},
        },
    },
}

_UNOWNED = frozenset({"apiVersion", "kind"})
_UNOWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


def with_metadata(schema: JSON) -> JSON:
    """The schema of a whole object, its metadata included."""
    return {**schema, "type": "object", "properties": {**(schema.get("properties") or {}), "metadata": METADATA_SCHEMA}}


def child_schema(schema: JSON, key: str) -> JSON:
    """The schema of an object's field; an empty schema when it is not declared."""
    found = (schema.get("properties") or {}).get(key)
    if found is None:
        others = schema.get("additionalProperties")
        found = others if isinstance(others, dict) else {}
    result: JSON = found
    return result


def is_atomic_map(schema: JSON) -> bool:
    """Whether an object is owned as a whole."""
    return schema.get("x-kubernetes-map-type") == "atomic"


def list_kind(schema: JSON) -> str:
    """``map``, ``set`` or ``atomic``."""
    return str(schema.get("x-kubernetes-list-type") or "atomic")


def item_step(item: Any, schema: JSON) -> str:
    """The step that names an item of a keyed list."""
    properties = (schema.get("items") or {}).get("properties") or {}
    keys = {}
    for key in sorted(schema.get("x-kubernetes-list-map-keys") or ()):
        default = (properties.get(key) or {}).get("default")
        value = item.get(key, default) if isinstance(item, dict) else None
        if value is not None:
            keys[key] = value
    return "k:" + encode(keys).decode()


def member_step(value: Any) -> str:
    """The step that names a member of a set."""
    return "v:" + encode(value).decode()


def of_object(obj: JSON, schema: JSON) -> FieldSet:
    """The fields an applied object sets."""
    return of_value(_owned(obj), schema)


def _owned(obj: JSON) -> JSON:
    result = {key: value for key, value in obj.items() if key not in _UNOWNED}
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _UNOWNED_METADATA}
    if metadata:
        result["metadata"] = metadata
    else:
        result.pop("metadata", None)
    return result


def of_value(value: Any, schema: JSON) -> FieldSet:
    """The fields ``value`` sets."""
    if isinstance(value, dict) and not is_atomic_map(schema):
        return {f"f:{key}": of_value(item, child_schema(schema, key)) for key, item in value.items()}
    if isinstance(value, list):
        kind = list_kind(schema)
        items = schema.get("items") or {}
        if kind == "map":
            return {item_step(item, schema): {".": {}, **of_value(item, items)} for item in value}
        if kind == "set":
            return {member_step(item): {} for item in value}
    return {}


def compare_objects(old: JSON, new: JSON, schema: JSON) -> tuple[FieldSet, FieldSet]:
    """What is (added or changed, removed) between two whole objects."""
    before, after = _owned(old), _owned(new)
    before.setdefault("metadata", {})
    after.setdefault("metadata", {})
    return compare(before, after, schema)


def compare(old: Any, new: Any, schema: JSON) -> tuple[FieldSet, FieldSet]:
    """What is (added or changed, removed) between two values that differ."""
    if isinstance(old, dict) and isinstance(new, dict) and not is_atomic_map(schema):
        return _compare_steps(
            {f"f:{key}": (item, child_schema(schema, key)) for key, item in old.items()},
            {f"f:{key}": (item, child_schema(schema, key)) for key, item in new.items()},
        )
    if isinstance(old, list) and isinstance(new, list) and list_kind(schema) != "atomic":
        return _compare_steps(_steps(old, schema), _steps(new, schema))
    return {".": {}}, {}


def _added(value: Any, schema: JSON) -> FieldSet:
    """The fields of a value that was not there: unlike an applied one, each container counts as set too."""
    if isinstance(value, dict) and value and not is_atomic_map(schema):
        return {".": {}, **{f"f:{key}": _added(item, child_schema(schema, key)) for key, item in value.items()}}
    if isinstance(value, list) and value and list_kind(schema) != "atomic":
        return {".": {}, **{step: _added(item, inner) for step, (item, inner) in _steps(value, schema).items()}}
    return {}


def _steps(values: list[Any], schema: JSON) -> dict[str, tuple[Any, JSON]]:
    items = schema.get("items") or {}
    if list_kind(schema) == "map":
        return {item_step(item, schema): (item, items) for item in values}
    return {member_step(item): (item, items) for item in values}


def _compare_steps(old: dict[str, tuple[Any, JSON]], new: dict[str, tuple[Any, JSON]]) -> tuple[FieldSet, FieldSet]:
    changed: FieldSet = {}
    removed: FieldSet = {step: {} for step in old if step not in new}
    for step, (value, schema) in new.items():
        if step not in old:
            changed[step] = _added(value, schema)
        elif old[step][0] != value:
            inner, gone = compare(old[step][0], value, schema)
            if inner:
                changed[step] = {} if inner == {".": {}} else inner
            if gone:
                removed[step] = gone
    return changed, removed


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Fields in either set."""
    result = dict(one)
    for step, node in other.items():
        mine = result.get(step)
        if mine is None:
            result[step] = node
        elif step != "." and mine != node:
            result[step] = union(mine or {".": {}}, node or {".": {}})
    return result


def subtract(one: FieldSet, other: FieldSet) -> FieldSet:
    """Fields of ``one`` that are not in ``other``; a childless node of ``other`` takes everything below it."""
    result: FieldSet = {}
    for step, node in one.items():
        theirs = other.get(step)
        if theirs is None:
            result[step] = node
        elif theirs == {}:
            continue
        elif node == {}:
            if "." not in theirs:
                result[step] = node
        else:
            rest = subtract(node, theirs)
            if rest:
                result[step] = rest
    return result


def abandoned(last: FieldSet, wanted: FieldSet) -> FieldSet:
    """Fields of ``last`` below which ``wanted`` has nothing any more."""
    result: FieldSet = {}
    for step, node in last.items():
        if step == ".":
            continue
        theirs = wanted.get(step)
        if theirs is None:
            result[step] = node
        elif node and theirs:
            rest = abandoned(node, theirs)
            if rest:
                result[step] = rest
    return result


def intersect(one: FieldSet, other: FieldSet) -> FieldSet:
    """Fields in both sets; a childless node of ``other`` stands for everything below it."""
    result: FieldSet = {}
    for step, node in one.items():
        theirs = other.get(step)
        if theirs is None:
            continue
        if theirs == {} or node == {}:
            if theirs == {} or "." in theirs:
                result[step] = node
            continue
        both = intersect(node, theirs)
        if both:
            result[step] = both
    return result


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """All members as ``.spec.list[name="x"].field``, sorted."""
    for step, node in sorted(fields.items()):
        if step == ".":
            continue
        path = prefix + readable(step)
        if not node or "." in node:
            yield path
        yield from paths(node, path)


def readable(step: str) -> str:
    """One step as messages write it."""
    kind, _, rest = step.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    keys = json.loads(rest)
    return "[" + ",".join(f"{key}={encode(value).decode()}" for key, value in sorted(keys.items())) + "]"
