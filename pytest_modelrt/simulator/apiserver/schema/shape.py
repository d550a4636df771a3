"""Shaping a value to its schema before validation: drop unknown fields, drop or default nulls, fill in defaults."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.values import JSON, copy

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_OBJECT_HEADER = frozenset({"apiVersion", "kind", "metadata"})


def prune(value: Any, schema: JSON, path: str, unknown: list[str], *, header: bool = False) -> Any:
    """A copy of ``value`` without fields the schema does not know; their paths are added to ``unknown``.

    ``header`` keeps ``apiVersion``, ``kind`` and ``metadata``, as at the root of an object.
    """
    if isinstance(value, dict):
        return _prune_object(value, schema, path, unknown, header or bool(schema.get(_EMBEDDED)))
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            return [prune(item, items, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
        return copy(value)
    if schema.get("format") == "quantity" and type(value) in (int, float):
        return str(value)
    return value


def _prune_object(value: JSON, schema: JSON, path: str, unknown: list[str], header: bool) -> JSON:
    properties: JSON = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    preserve = bool(schema.get(_PRESERVE))
    result: JSON = {}
    for key, item in value.items():
        known = properties.get(key)
        if header and key in _OBJECT_HEADER:
            result[key] = copy(item)
        elif known is not None:
            result[key] = prune(item, known, _join(path, key), unknown)
        elif isinstance(others, dict):
            result[key] = prune(item, others, _join(path, key), unknown)
        elif others is True or preserve:
            result[key] = copy(item)
        else:
            unknown.append(_join(path, key))
    return result


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def fill_defaults(value: Any, schema: JSON) -> None:
    """Apply defaults in place, inside objects that exist; nulls of non-nullable fields get theirs or vanish."""
    if isinstance(value, dict):
        properties: JSON = schema.get("properties") or {}
        for key, known in properties.items():
            if key not in value:
                if "default" in known:
                    value[key] = copy(known["default"])
            elif value[key] is None and not known.get("nullable"):
                if "default" in known:
                    value[key] = copy(known["default"])
                else:
                    del value[key]
        others = schema.get("additionalProperties")
        extra = others if isinstance(others, dict) else None
        for key, item in list(value.items()):
            known = properties.get(key, extra)
            if known is None:
                continue
            if item is None and not known.get("nullable") and key not in properties:
                if "default" in known:
                    value[key] = copy(known["default"])
                else:
                    del value[key]
            elif isinstance(item, dict | list):
                fill_defaults(item, known)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for item in value:
                if isinstance(item, dict | list):
                    fill_defaults(item, items)
