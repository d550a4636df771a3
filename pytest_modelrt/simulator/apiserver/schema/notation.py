"""A compact notation for the schemas of built-in kinds, expanded to OpenAPI with the Kubernetes extensions.

One type per line, ``Name: field:type field:type!``; indented lines continue. Types: ``s`` string, ``i`` integer,
``n`` number, ``b`` boolean, ``t`` time, ``q`` quantity, ``p`` integer or string, ``any``, ``Name`` another type,
``{T}`` map, ``[T]`` list replaced as a whole, ``[T|key,key]`` list keyed by fields (the first is the strategic merge
key), ``<T>`` set. ``!`` means required, ``=value`` gives a default, ``~`` before a type makes its map atomic.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pytest_modelrt.simulator.apiserver.values import JSON

_SCALARS: dict[str, JSON] = {
    "s": {"type": "string"},
    "i": {"type": "integer"},
    "n": {"type": "number"},
    "b": {"type": "boolean"},
    "t": {"type": "string", "format": "date-time", "nullable": True},
    "q": {"x-kubernetes-int-or-string": True, "format": "quantity"},
    "p": {"x-kubernetes-int-or-string": True},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}

_FIELD = re.compile(r"^(?P<name>[^:]+):(?P<type>[^=!]+)(?P<required>!?)(?:=(?P<default>.*))?$")


def parse(text: str) -> dict[str, JSON]:
    """All types of ``text`` by name; types share the schemas of the types they name."""
    definitions: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line
        if not line[0].isspace():
            current, _, fields = line.partition(":")
            definitions[current] = []
        definitions[current].extend(fields.split())
    types: dict[str, JSON] = {name: {"type": "object", "properties": {}} for name in definitions}
    for name, declared in definitions.items():
        _fill(types[name], declared, types)
    return types


def _fill(schema: JSON, fields: list[str], types: dict[str, JSON]) -> None:
    required = []
    for field in fields:
        match = _FIELD.match(field)
        if match is None:
            raise ValueError(f"schema notation: cannot read {field!r}")
        spec = _expand(match["type"], types)
        if match["default"] is not None:
            spec = {**spec, "default": _literal(match["default"])}
        schema["properties"][match["name"]] = spec
        if match["required"]:
            required.append(match["name"])
    if required:
        schema["required"] = required


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _expand(text: str, types: dict[str, JSON]) -> JSON:
    if text.startswith("~"):
        return {**_expand(text[1:], types), "x-kubernetes-map-type": "atomic"}
    if text.startswith("{"):
        return {"type": "object", "additionalProperties": _expand(text[1:-1], types)}
    if text.startswith("<"):
        items = _expand(text[1:-1], types)
        return {
            "type": "array",
            "items": items,
            "x-kubernetes-list-type": "set",
            "x-kubernetes-patch-strategy": "merge",
        }
    if text.startswith("["):
        inner, _, keys = text[1:-1].partition("|")
        schema: JSON = {"type": "array", "items": _expand(inner, types)}
        if not keys:
            return {**schema, "x-kubernetes-list-type": "atomic"}
        names = keys.split(",")
        return {
            **schema,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": names,
            "x-kubernetes-patch-merge-key": names[0],
            "x-kubernetes-patch-strategy": "merge",
        }
    return _SCALARS[text] if text in _SCALARS else types[text]
