"""CustomResourceDefinitions, generated from the compact type notation in ``crds/*.yaml``.

A type is a mapping of field to type expression, or such an expression itself:

- ``string``, ``boolean``, ``int32``, ``int64``, ``number``, ``quantity``, ``intOrString``, ``object`` (anything
  inside), ``any``, the name of another type, ``[]T``, ``map[T]``, ``enum(a|b)``
- followed by ``!`` if the field is required, ``= value`` for a default, ``>= n`` for a minimum
- key ``+`` lists types whose fields are included; key ``*`` keeps unknown fields
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Schema = dict[str, Any]

PLATFORM_FILES: Mapping[str, tuple[str, ...]] = {
    "ome": ("ome", "leaderworkerset", "gateway"),
    "kserve": ("gateway", "kserve", "kuadrant"),
}
"""Files per platform."""

_SCALARS: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "intOrString": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    "quantity": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    "object": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}
_EXPRESSION = re.compile(
    r"(?P<type>enum\([^)]*\)|[\w\[\]]+)(?P<required>!)?(?:\s*>=\s*(?P<minimum>\d+))?(?P<defaulted>\s*=\s*(?P<default>.*))?"
)


@cache
def crds(platforms: tuple[str, ...] = tuple(PLATFORM_FILES)) -> tuple[dict[str, Any], ...]:
    """All definitions these platforms install, ready to be created. Shared: treat as read-only."""
    files_wanted = dict.fromkeys(name for platform in platforms for name in PLATFORM_FILES[platform])
    return tuple(definition for name in files_wanted for definition in _definitions(name))


def _definitions(name: str) -> list[dict[str, Any]]:
    document = _read(name)
    library = _Library({**_read("pod"), **document["types"]})
    group, version = document["group"], document["version"]
    definitions = [_definition(group, kind.get("version", version), kind, library) for kind in document["kinds"]]
    if "annotations" in document:
        for definition in definitions:
            definition["metadata"]["annotations"] = document["annotations"]
    return definitions


def _read(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath("crds", f"{name}.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return document


def _definition(group: str, version: str, kind: Mapping[str, Any], library: _Library) -> dict[str, Any]:
    plural, name = kind["plural"], kind["kind"]
    fields = {"apiVersion": "string", "kind": "string", "metadata": "Metadata", "spec": kind["spec"]}
    if "status" in kind:
        fields["status"] = kind["status"]
    schema = library.structure(fields)
    schema["properties"]["metadata"] = {"type": "object"}
    served: dict[str, Any] = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [_column(column) for column in kind["columns"]],
        "subresources": {"status": {}} if "status" in kind else {},
    }
    names = {"kind": name, "listKind": f"{name}List", "plural": plural, "singular": name.lower()}
    names |= {key: kind[key] for key in ("shortNames", "categories") if key in kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": kind["scope"], "versions": [served]},
    }


def _column(text: str) -> dict[str, Any]:
    """``name=path``, ``name=path:type``, ``name=path:type:priority``; priority 1 and more shows with -o wide only."""
    name, _, rest = text.partition("=")
    priority = 0
    if rest[-2:-1] == ":" and rest[-1].isdigit():
        rest, priority = rest[:-2], int(rest[-1])
    path, colon, kind = rest.rpartition(":")
    if not colon or kind not in ("boolean", "integer", "date", "string"):
        path, kind = rest, "string"
    return {"name": name, "jsonPath": path, "type": kind, **({"priority": priority} if priority else {})}


class _Library:
    """Named types; each is expanded once and then shared."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        self._types = {"Metadata": "object", **types}
        self._expanded: dict[str, Schema] = {}

    def structure(self, fields: Mapping[str, Any]) -> Schema:
        """The schema of an object with these fields."""
        properties: dict[str, Schema] = {}
        required: list[str] = []
        schema: Schema = {"type": "object", "properties": properties}
        for name, expression in fields.items():
            if name == "+":
                for included in expression:
                    base = self._named(included)
                    properties |= base["properties"]
                    required += base.get("required", [])
            elif name == "*":
                schema["x-kubernetes-preserve-unknown-fields"] = True
            else:
                properties[name], is_required = self._field(expression)
                if is_required:
                    required.append(name)
        if required:
            schema["required"] = sorted(required)
        return schema

    def _field(self, expression: Any) -> tuple[Schema, bool]:
        if isinstance(expression, Mapping):
            return self.structure(expression), False
        match = _EXPRESSION.fullmatch(expression)
        if match is None:
            raise ValueError(f"not a type expression: {expression!r}")
        schema = self._type(match["type"])
        extras: Schema = {}
        if match["minimum"]:
            extras["minimum"] = int(match["minimum"])
        if match["defaulted"]:
            extras["default"] = _default(schema, match["default"].strip())
        return ({**schema, **extras} if extras else schema), bool(match["required"])

    def _type(self, name: str) -> Schema:
        if name.startswith("[]"):
            return {"type": "array", "items": self._type(name[2:])}
        if name.startswith("map["):
            return {"type": "object", "additionalProperties": self._type(name[4:-1])}
        if name.startswith("enum("):
            return {"type": "string", "enum": [value.strip() for value in name[5:-1].split("|")]}
        return _SCALARS.get(name) or self._named(name)

    def _named(self, name: str) -> Schema:
        if name not in self._expanded:
            definition = self._types[name]
            self._expanded[name] = (
                self.structure(definition) if isinstance(definition, Mapping) else self._field(definition)[0]
            )
        return self._expanded[name]


def _default(schema: Schema, text: str) -> Any:
    return int(text) if schema.get("type") == "integer" else text
