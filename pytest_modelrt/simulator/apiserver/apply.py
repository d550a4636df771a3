"""Server-side apply: merging an applied configuration into the live object, field by field."""

from __future__ import annotations

import json
from typing import Any

from pytest_modelrt.simulator.apiserver import fieldset, managed
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.fieldset import FieldSet
from pytest_modelrt.simulator.apiserver.managed import Manager
from pytest_modelrt.simulator.apiserver.values import JSON, copy


def apply_object(live: JSON, config: JSON, manager: Manager, schema: JSON, *, force: bool) -> JSON:
    """The live object with ``config`` applied by ``manager``; raises 409 on conflicts unless forced.

    The result carries new managedFields; defaulting and validation are the caller's.
    """
    wanted = fieldset.of_object(config, schema)
    merged: JSON = _merge(live, config, schema)
    others = [entry for entry in managed.entries(live) if managed.manager_of(entry) != manager]
    gone = fieldset.abandoned(managed.find(live, manager), wanted)
    if gone:
        held: FieldSet = {}
        for entry in others:
            held = fieldset.union(held, managed.fields_of(entry))
        merged = _remove(merged, gone, held, schema)
    changed, removed = fieldset.compare_objects(live, merged, schema)
    conflicts = [
        (managed.manager_of(entry), both)
        for entry in others
        if (both := fieldset.intersect(managed.fields_of(entry), changed)) and not _forgiven(manager, entry)
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    managed.write(merged, managed.replaced(managed.entries(live), manager, wanted, changed, removed))
    return merged


def _forgiven(manager: Manager, entry: JSON) -> bool:
    """kubectl may take over from itself when it moves from client-side to server-side apply."""
    return manager.name == "kubectl" and managed.manager_of(entry).name == "kubectl-client-side-apply"


def _merge(live: Any, config: Any, schema: JSON) -> Any:
    if isinstance(live, dict) and isinstance(config, dict) and not fieldset.is_atomic_map(schema):
        result = dict(live)
        for key, item in config.items():
            inner = fieldset.child_schema(schema, key)
            result[key] = _merge(live[key], item, inner) if key in live else copy(item)
        return result
    if isinstance(live, list) and isinstance(config, list):
        kind = fieldset.list_kind(schema)
        if kind == "set":
            return [*live, *(copy(item) for item in config if item not in live)]
        if kind == "map":
            return _merge_items(live, config, schema)
    return copy(config)


def _merge_items(live: list[Any], config: list[Any], schema: JSON) -> list[Any]:
    """Items of a keyed list: applied ones in the applied order, the rest where they were."""
    items = schema.get("items") or {}
    present = {fieldset.item_step(item, schema): item for item in live}
    wanted = {fieldset.item_step(item, schema): item for item in config}
    queue = [_merge(present[step], item, items) if step in present else copy(item) for step, item in wanted.items()]
    result: list[Any] = []
    for step, item in present.items():
        result.append(queue.pop(0) if step in wanted and queue else item)
    return result + queue


def _remove(value: Any, gone: FieldSet, held: FieldSet, schema: JSON) -> Any:
    """``value`` without the fields of ``gone`` that nobody in ``held`` owns."""
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            step = f"f:{key}"
            kept = _remove_step(item, step, gone, held, fieldset.child_schema(schema, key))
            if kept is not _GONE:
                result[key] = kept
        return result
    if isinstance(value, list):
        items = schema.get("items") or {}
        keyed = fieldset.list_kind(schema) == "map"
        kept_items = []
        for item in value:
            step = fieldset.item_step(item, schema) if keyed else fieldset.member_step(item)
            kept = _remove_step(item, step, gone, held, items)
            if kept is not _GONE:
                kept_items.append(kept)
        return kept_items
    return value


_GONE = object()


def _remove_step(item: Any, step: str, gone: FieldSet, held: FieldSet, schema: JSON) -> Any:
    node = gone.get(step)
    if node is None:
        return item
    theirs = held.get(step)
    if (node == {} or "." in node) and theirs is None:
        return _GONE
    if node == {}:
        return item
    rest = _remove(item, node, theirs or {}, schema)
    # A container that only existed for what was removed goes with it.
    return _GONE if rest in ({}, []) and item and theirs is None else rest


def _conflict(conflicts: list[tuple[Manager, FieldSet]]) -> StatusError:
    """409 that names every owner and field."""
    causes: list[JSON] = []
    owners: list[tuple[str, list[str]]] = []
    for owner, fields in conflicts:
        text = json.dumps(owner.name)
        if owner.subresource:
            text += f" with subresource {json.dumps(owner.subresource)}"
        if owner.operation == "Update":
            text += f" using {owner.api_version}"
        listed = list(fieldset.paths(fields))
        owners.append((text, listed))
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {text}", "field": field} for field in listed
        ]
    count = len(causes)
    if count == 1:
        message = f"Apply failed with 1 conflict: conflict with {owners[0][0]}: {owners[0][1][0]}"
    else:
        parts = [f"conflicts with {text}:\n" + "\n".join(f"- {field}" for field in listed) for text, listed in owners]
        message = f"Apply failed with {count} conflicts: " + "\n".join(parts)
    return StatusError(409, "Conflict", message, {"causes": causes})


def check_declared(value: Any, schema: JSON, path: str = "") -> list[str]:
    """Problems of an applied configuration with its schema, as texts."""
    if value is None or schema.get("x-kubernetes-int-or-string"):
        return []
    wanted = schema.get("type")
    if wanted == "object" and not isinstance(value, dict):
        return [f"{path}: expected map, got &{{{value}}}"]
    if wanted == "array" and not isinstance(value, list):
        return [f"{path}: expected list, got &{{{value}}}"]
    if wanted == "string" and not isinstance(value, str):
        return [f"{path}: expected string, got &value.valueUnstructured{{Value:{value}}}"]
    if wanted in ("integer", "number") and (isinstance(value, bool) or not isinstance(value, int | float)):
        return [f"{path}: expected numeric (int or float), got {type(value).__name__.replace('str', 'string')}"]
    if wanted == "boolean" and not isinstance(value, bool):
        return [f"{path}: expected boolean, got {type(value).__name__.replace('str', 'string')}"]
    if isinstance(value, dict):
        return _check_fields(value, schema, path)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        found: list[str] = []
        for index, item in enumerate(value):
            step = f"[{index}]"
            if fieldset.list_kind(schema) == "map":
                step = fieldset.readable(fieldset.item_step(item, schema))
            found += check_declared(item, schema["items"], path + step)
        return found
    return []


def _check_fields(value: JSON, schema: JSON, path: str) -> list[str]:
    properties = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    loose = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or others is True
    found: list[str] = []
    for key, item in value.items():
        if key in properties:
            found += check_declared(item, properties[key], f"{path}.{key}")
        elif isinstance(others, dict):
            found += check_declared(item, others, f"{path}.{key}")
        elif not loose:
            found.append(f"{path}.{key}: field not declared in schema")
    return found
