"""Life of a CustomResourceDefinition: versions, later defaults, emptying."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import WIDGETS

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def gears(api: httpx.Client) -> Iterator[dict[str, Any]]:
    """A definition with two served versions, v1 stored."""
    text = json.dumps(WIDGETS).replace("widgets", "gears").replace("Widget", "Gear").replace("example.com", "gear.io")
    body = json.loads(text.replace('"wd"', '"gr"'))
    (first,) = body["spec"]["versions"]
    body["spec"]["versions"] = [{**copy.deepcopy(first), "name": "v1"}, {**copy.deepcopy(first), "storage": False}]
    created = api.post(CRDS, json=body)
    assert created.status_code == 201, created.text
    yield created.json()
    api.delete(f"{CRDS}/gears.gear.io")


def gear(name: str, version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"gear.io/{version}", "kind": "Gear", "metadata": {"name": name}, "spec": spec}


def path(namespace: str, version: str = "v1") -> str:
    return f"/apis/gear.io/{version}/namespaces/{namespace}/gears"


def test_versions_show_the_same_objects(api: httpx.Client, namespace: str, gears: dict[str, Any]) -> None:
    api.post(path(namespace, "v1beta1"), json=gear("x", "v1beta1", count=1)).raise_for_status()
    assert api.get(path(namespace) + "/x").json()["apiVersion"] == "gear.io/v1"
    old = api.get(path(namespace, "v1beta1") + "/x").json()
    assert old["apiVersion"] == "gear.io/v1beta1"
    old["spec"]["count"] = 2
    assert api.put(path(namespace, "v1beta1") + "/x", json=old).json()["apiVersion"] == "gear.io/v1beta1"
    assert api.get(path(namespace)).json()["items"][0]["spec"]["count"] == 2
    assert api.get("/apis/gear.io").json()["preferredVersion"]["version"] == "v1"
    assert gears["status"]["storedVersions"] == ["v1"]
    wrong = api.post(path(namespace), json=gear("y", "v1beta1"))
    assert wrong.status_code == 400
    assert wrong.json()["message"] == (
        "the API version in the data (gear.io/v1beta1) does not match the expected API version (gear.io/v1)"
    )


def test_later_defaults_show_in_older_objects(api: httpx.Client, namespace: str, gears: dict[str, Any]) -> None:
    before = api.post(path(namespace), json=gear("x", count=1)).json()
    for version in gears["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["text"]["default"] = "new"
    api.put(f"{CRDS}/gears.gear.io", json=gears).raise_for_status()
    after = api.get(path(namespace) + "/x").json()
    assert after["spec"] == {"count": 1, "tier": "a", "text": "new"}
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("gears")
def test_instances_go_first(api: httpx.Client, namespace: str) -> None:
    held = gear("held", count=1)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.post(path(namespace), json=held).raise_for_status()
    answer = api.delete(f"{CRDS}/gears.gear.io").json()
    assert answer["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    chosen = {"watch": "true", "fieldSelector": "metadata.name=gears.gear.io", "timeoutSeconds": "20"}
    with api.stream("GET", CRDS, params=chosen) as stream:
        events = (json.loads(line) for line in stream.iter_lines())
        conditions = (event["object"]["status"]["conditions"] for event in events)
        assert any(item["type"] == "Terminating" for found in conditions for item in found)
        assert api.post(path(namespace), json=gear("late")).status_code == 405
        release = {"metadata": {"finalizers": None}}
        api.patch(path(namespace) + "/held", json=release, headers=MERGE).raise_for_status()
        assert any(event["type"] == "DELETED" for event in events)
    assert api.get("/apis/gear.io/v1").status_code == 404
