"""Discovery and OpenAPI, as every client sees them."""

from __future__ import annotations

import json

import httpx
import pytest

from .conftest import Cluster

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


def test_legacy_discovery(api: httpx.Client) -> None:
    assert api.get("/api").json()["versions"] == ["v1"]
    groups = {group["name"]: group for group in api.get("/apis").json()["groups"]}
    assert groups["example.com"]["preferredVersion"] == {"groupVersion": "example.com/v1beta1", "version": "v1beta1"}
    assert api.get("/apis/example.com").json()["kind"] == "APIGroup"
    resources = {item["name"]: item for item in api.get("/apis/example.com/v1beta1").json()["resources"]}
    assert resources["widgets"]["shortNames"] == ["wd"]
    assert resources["widgets"]["singularName"] == "widget"
    assert resources["widgets/status"]["singularName"] == ""
    core = {item["name"]: item for item in api.get("/api/v1").json()["resources"]}
    assert "deletecollection" not in core["namespaces"]["verbs"]
    assert (core["pods/eviction"]["group"], core["pods/eviction"]["kind"]) == ("policy", "Eviction")
    assert core["pods"]["categories"] == ["all"]


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_aggregated_discovery(api: httpx.Client, version: str) -> None:
    accept = AGGREGATED.format(version)
    answer = api.get("/apis", headers={"Accept": f"{accept},application/json"})
    assert answer.headers["Content-Type"] == accept
    assert answer.headers["Vary"] == "Accept"
    found = answer.json()
    assert found["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    group = next(item for item in found["items"] if item["metadata"]["name"] == "example.com")
    (widgets,) = group["versions"][0]["resources"]
    assert widgets["scope"] == "Namespaced"
    assert {item["subresource"] for item in widgets["subresources"]} == {"status", "scale"}
    assert all(served["resources"] for item in found["items"] for served in item["versions"])
    again = api.get("/apis", headers={"Accept": accept, "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_definitions_show_at_once(api: httpx.Client, cluster: Cluster) -> None:
    text = json.dumps(cluster.server.config.crds[0]).replace("widgets", "sprockets").replace("Widget", "Sprocket")
    definition = json.loads(text.replace("example.com", "other.com").replace('"wd"', '"sp"'))
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    before = api.get("/openapi/v3").json()["paths"]
    created = api.post(crds, json=definition)
    assert created.status_code == 201, created.text
    conditions = {item["type"]: item["status"] for item in created.json()["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert api.get("/apis/other.com/v1beta1").status_code == 200
    assert api.get("/apis/other.com/v1beta1/sprockets").json()["items"] == []
    assert "apis/other.com/v1beta1" in set(api.get("/openapi/v3").json()["paths"]) - set(before)
    api.delete(f"{crds}/sprockets.other.com").raise_for_status()
    version = created.json()["metadata"]["resourceVersion"]
    chosen = {"watch": "true", "fieldSelector": "metadata.name=sprockets.other.com", "resourceVersion": version}
    with api.stream("GET", crds, params=chosen) as stream:
        kinds = (json.loads(line)["type"] for line in stream.iter_lines())
        assert "DELETED" in kinds
    assert api.get("/apis/other.com/v1beta1").status_code == 404


def test_bad_definitions_are_refused(api: httpx.Client, cluster: Cluster) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = json.loads(json.dumps(cluster.server.config.crds[0]))
    definition["metadata"]["name"] = "wrong.example.com"
    del definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["type"]
    body = api.post(crds, json=definition).json()
    assert body["code"] == 422
    assert {cause["field"] for cause in body["details"]["causes"]} == {
        "metadata.name",
        "spec.versions[0].schema.openAPIV3Schema.type",
    }


def test_openapi_documents(api: httpx.Client) -> None:
    index = api.get("/openapi/v3").json()["paths"]
    document = api.get(index["apis/example.com/v1beta1"]["serverRelativeURL"]).json()
    operation = document["paths"]["/apis/example.com/v1beta1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert operation["x-kubernetes-group-version-kind"]["kind"] == "Widget"
    assert "fieldValidation" in {parameter["name"] for parameter in operation["parameters"]}
    second = api.get("/openapi/v2", headers={"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"})
    assert second.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert b"fieldValidation" in second.content


def test_answers_for_people(api: httpx.Client) -> None:
    assert api.get("/version", headers={"User-Agent": "curl/8"}).text.startswith("{\n")
    assert "kind: NamespaceList" in api.get("/api/v1/namespaces", headers={"Accept": "application/yaml"}).text
    assert "/apis/example.com" in api.get("/").json()["paths"]
