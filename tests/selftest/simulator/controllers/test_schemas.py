"""The definitions as data: structural, complete, with the fields and columns clients rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_modelrt.simulator.controllers.schemas import crds

BY_KIND = {definition["spec"]["names"]["kind"]: definition for definition in crds()}


def schema_of(kind: str) -> dict[str, Any]:
    version = BY_KIND[kind]["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def at(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        schema = schema["items"] if name == "[]" else schema["properties"][name]
    return schema


def walk(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    children = list((schema.get("properties") or {}).values())
    children += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    for child in children:
        yield from walk(child)


def test_kinds() -> None:
    assert set(BY_KIND) >= {
        "ClusterBaseModel",
        "BaseModel",
        "ClusterServingRuntime",
        "ServingRuntime",
        "InferenceService",
        "AcceleratorClass",
        "LeaderWorkerSet",
        "Gateway",
        "HTTPRoute",
    }


@pytest.mark.parametrize("kind", sorted(BY_KIND))
def test_every_node_says_what_it_is(kind: str) -> None:
    for node in walk(schema_of(kind)):
        assert node.keys() & {"type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}


@pytest.mark.parametrize("kind", ["ClusterServingRuntime", "ServingRuntime"])
def test_runtimes_have_no_status_subresource(kind: str) -> None:
    assert "status" not in BY_KIND[kind]["spec"]["versions"][0]["subresources"]


def test_fields_of_a_model() -> None:
    spec = at(schema_of("ClusterBaseModel"), "spec")
    assert spec["required"] == ["storage"]
    assert at(spec, "storage")["required"] == ["storageUri"]
    assert at(spec, "storage", "downloadPolicy")["enum"] == ["AlwaysDownload", "ReuseIfExists"]
    assert at(spec, "modelFormat", "operator")["default"] == "Equal"
    assert at(spec, "modelFormat", "weight")["default"] == 1
    assert at(schema_of("ClusterBaseModel"), "status")["required"] == ["state"]


def test_fields_of_a_runtime() -> None:
    spec = at(schema_of("ClusterServingRuntime"), "spec")
    assert at(spec, "supportedModelFormats", "[]")["required"] == ["modelFormat", "modelFramework"]
    assert at(spec, "supportedModelFormats", "[]", "priority")["minimum"] == 1
    assert at(spec, "engineConfig", "runner")["required"] == ["name"]
    assert "size" in at(spec, "engineConfig", "worker")["properties"]
    assert "tolerations" in at(spec, "engineConfig", "leader")["properties"]
    assert "config" in at(spec, "routerConfig")["properties"]


def test_fields_of_a_service() -> None:
    spec = at(schema_of("InferenceService"), "spec")
    assert at(spec, "model", "kind")["default"] == "ClusterBaseModel"
    assert at(spec, "runtime")["required"] == ["name"]
    assert "scaleMetric" in at(spec, "router")["properties"]
    assert "leader" not in at(spec, "router")["properties"]
    assert at(schema_of("InferenceService"), "status")["x-kubernetes-preserve-unknown-fields"] is True


def test_ready_column_of_models_shows_the_state() -> None:
    columns = BY_KIND["ClusterBaseModel"]["spec"]["versions"][0]["additionalPrinterColumns"]
    ready = next(column for column in columns if column["name"] == "Ready")
    assert ready == {"name": "Ready", "jsonPath": ".status.state", "type": "string"}
    assert columns[-1] == {"name": "Age", "jsonPath": ".metadata.creationTimestamp", "type": "date"}
