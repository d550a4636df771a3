"""Strategic merge patch: merge patch that knows keyed lists and carries directives."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.errors import bad_request
from pytest_modelrt.simulator.apiserver.fieldset import child_schema
from pytest_modelrt.simulator.apiserver.values import JSON, copy

_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def strategic_patch(target: Any, patch: Any, schema: JSON) -> Any:
    """``target`` with ``patch`` merged in by the rules of ``schema``."""
    if not isinstance(patch, dict):
        return copy(patch)
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    if directive == "replace":
        return {key: copy(item) for key, item in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {key: item for key, item in result.items() if key in retained}
    for key, item in patch.items():
        if key in ("$patch", "$retainKeys"):
            continue
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            result[field] = [held for held in result.get(field) or [] if held not in item]
        elif key.startswith(_ORDER):
            field = key.removeprefix(_ORDER)
            if field not in patch and isinstance(result.get(field), list):
                result[field] = _ordered(result[field], item, _merge_key(child_schema(schema, field)))
        elif item is None:
            result.pop(key, None)
        else:
            order = patch.get(_ORDER + key)
            result[key] = _merge_field(result.get(key), item, child_schema(schema, key), order)
    return result


def _merge_key(schema: JSON) -> str:
    return str(schema.get("x-kubernetes-patch-merge-key") or "")


def _merge_field(target: Any, patch: Any, schema: JSON, order: Any) -> Any:
    if isinstance(patch, dict):
        return strategic_patch(target, patch, schema)
    if not isinstance(patch, list) or schema.get("x-kubernetes-patch-strategy") != "merge":
        return copy(patch)
    held = target if isinstance(target, list) else []
    key = _merge_key(schema)
    if not key:
        merged = [*held, *(copy(item) for item in patch if item not in held)]
    else:
        merged = _merge_keyed(held, patch, key, schema.get("items") or {})
    return _ordered(merged, order, key) if isinstance(order, list) else merged


def _merge_keyed(held: list[Any], patch: list[Any], key: str, items: JSON) -> list[Any]:
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy(item) for item in patch if item.get("$patch") != "replace"]
    result = list(held)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"error decoding patch: map: {item} does not contain declared merge key: {key}")
        place = next((i for i, found in enumerate(result) if found.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            result = [found for found in result if found.get(key) != item[key]]
        elif place is None:
            result.append(strategic_patch({}, item, items))
        else:
            result[place] = strategic_patch(result[place], item, items)
    return result


def _ordered(values: list[Any], order: list[Any], key: str) -> list[Any]:
    """``values`` with those named in ``order`` in that order, in front of those the patch did not name."""
    wanted = [item.get(key) if key and isinstance(item, dict) else item for item in order]

    def place(item: Any) -> int:
        identity = item.get(key) if key and isinstance(item, dict) else item
        return wanted.index(identity) if identity in wanted else len(wanted)

    return sorted(values, key=place)
