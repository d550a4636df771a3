"""OpenAPI documents: v3 with schemas for ``explain``, and the few protobuf bytes of v2 that kubectl reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pytest_modelrt.simulator.apiserver.errors import PlainError
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource
from pytest_modelrt.simulator.apiserver.values import JSON, encode

V2_CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_META_SCHEMA: JSON = {
    "description": "Standard object's metadata.",
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "Name must be unique within a namespace."},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "uid": {"type": "string"},
        "resourceVersion": {"type": "string"},
        "generation": {"type": "integer", "format": "int64"},
        "creationTimestamp": {"type": "string", "format": "date-time"},
        "deletionTimestamp": {"type": "string", "format": "date-time"},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ownerReferences": {"type": "array", "items": {"type": "object"}},
        "managedFields": {"type": "array", "items": {"type": "object"}},
    },
}
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force")


class OpenApi:
    """Answers ``/openapi/v3`` and ``/openapi/v2``."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._generation = -1
        self._documents: dict[str, bytes] = {}
        self._v2 = b""

    def _refresh(self) -> None:
        if self._generation != self._catalog.generation:
            self._documents.clear()
            self._v2 = b""
            self._generation = self._catalog.generation

    def _paths(self) -> Iterator[tuple[str, str, str]]:
        for group, versions in self._catalog.groups().items():
            for version in versions:
                yield (f"apis/{group}/{version}" if group else f"api/{version}", group, version)

    def index(self) -> bytes:
        """``/openapi/v3``: every document with a URL that changes with its content."""
        paths = {}
        for path, _group, _version in self._paths():
            digest = hashlib.sha256(self.document(path)).hexdigest().upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return encode({"paths": paths})

    def document(self, path: str) -> bytes:
        """``/openapi/v3/{path}``; raises 404."""
        self._refresh()
        found = self._documents.get(path)
        if found is None:
            match = next(((group, version) for known, group, version in self._paths() if known == path), None)
            if match is None:
                raise PlainError
            found = self._documents[path] = encode(self._build(path, *match))
        return found

    def _build(self, path: str, group: str, version: str) -> JSON:
        paths: JSON = {}
        schemas: JSON = {_META: _META_SCHEMA}
        for resource in self._catalog.in_version(group, version):
            if "patch" not in resource.verbs:
                continue
            scope = "namespaces/{namespace}/" if resource.namespaced and resource.plural != "namespaces" else ""
            where = f"/{path}/{scope}{resource.plural}"
            paths[where] = {"get": _operation(resource, "list"), "post": _operation(resource, "post")}
            paths[where + "/{name}"] = {verb: _operation(resource, verb) for verb in ("get", "put", "patch", "delete")}
            schemas[schema_name(resource)] = _schema(resource)
        info = {"title": "Kubernetes", "version": "v1.36.0"}
        return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}

    def v2(self) -> bytes:
        """``/openapi/v2`` as protobuf: per kind one path whose patch operation supports fieldValidation."""
        self._refresh()
        if not self._v2:
            paths = b"".join(
                _bytes(2, _named_value(f"/apis/{resource.qualified}/{{name}}", _v2_path(resource)))
                for resource in self._catalog.stored()
            )
            info = _bytes(1, b"Kubernetes") + _bytes(2, b"v1.36.0")
            self._v2 = _bytes(1, b"2.0") + _bytes(2, info) + _bytes(8, paths)
        return self._v2


def schema_name(resource: Resource) -> str:
    """The component name of a kind: its group reversed, version, kind."""
    domain = ".".join(reversed(resource.group.split("."))) if resource.group else "io.k8s.api.core"
    return f"{domain}.{resource.version}.{resource.kind}"


def _gvk(resource: Resource) -> JSON:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _operation(resource: Resource, verb: str) -> JSON:
    operation: JSON = {
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": _gvk(resource),
        "responses": {"200": {"description": "OK"}},
    }
    if verb in ("post", "put", "patch"):
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in _PARAMETERS
        ]
    return operation


def _schema(resource: Resource) -> JSON:
    properties = {
        "apiVersion": {"type": "string", "description": "APIVersion of this representation of an object."},
        "kind": {"type": "string", "description": "Kind of this object."},
        **(resource.schema.get("properties") or {}),
        "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}"}], "description": "Standard metadata."},
    }
    schema = {key: value for key, value in resource.schema.items() if key != "properties"}
    return {
        **schema,
        "type": "object",
        "properties": properties,
        "x-kubernetes-group-version-kind": [_gvk(resource)],
    }


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _named_value(name: str, value: bytes) -> bytes:
    return _bytes(1, name.encode()) + _bytes(2, value)


def _v2_path(resource: Resource) -> bytes:
    """A PathItem with a patch operation: its gvk as a vendor extension (YAML), fieldValidation as a query parameter."""
    group = resource.group or '""'
    gvk = f"group: {group}\nkind: {resource.kind}\nversion: {resource.version}\n"
    extension = _named_value("x-kubernetes-group-version-kind", _bytes(2, gvk.encode()))
    query = _bytes(4, b"fieldValidation") + _bytes(2, b"query") + _bytes(6, b"string")
    # Parameter{non_body_parameter=2{query_parameter_sub_schema=3}} inside ParametersItem{parameter=1}.
    parameter = _bytes(1, _bytes(2, _bytes(3, query)))
    operation = _bytes(8, parameter) + _bytes(13, extension)
    return _bytes(8, operation)
