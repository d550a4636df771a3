"""The controller jobs: garbage, namespaces, accounts, endpoints; and living without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_modelrt.simulator.apiserver.housekeeping import ALL

from .conftest import WIDGET_PATH, WIDGETS, http_client, start_cluster, widget

MERGE = {"Content-Type": "application/merge-patch+json"}


def until(api: httpx.Client, path: str, test: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
    """Follow a collection until its objects by name pass ``test``; the watch ends after 20 s."""
    objects: dict[str, dict[str, Any]] = {}
    params = {"watch": "true", "timeoutSeconds": "20", "sendInitialEvents": "true", "allowWatchBookmarks": "true",
              "resourceVersionMatch": "NotOlderThan"}  # fmt: skip
    ready = False
    with api.stream("GET", path, params=params) as stream:
        for line in stream.iter_lines():
            event = json.loads(line)
            name = event["object"]["metadata"].get("name", "")
            if event["type"] == "BOOKMARK":
                ready = True
            elif event["type"] == "DELETED":
                objects.pop(name, None)
            else:
                objects[name] = event["object"]
            if ready and test(objects):
                return objects
    pytest.fail(f"never came true; last seen: {sorted(objects)}")


def owned(name: str, owner: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = widget(name)
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                 "uid": owner["metadata"]["uid"], **more}  # fmt: skip
    body["metadata"]["ownerReferences"] = [reference]
    return body


def test_dependents_follow_their_owner(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    owner = api.post(path, json=widget("owner")).json()
    child = api.post(path, json=owned("child", owner)).json()
    api.post(path, json=owned("grandchild", child)).raise_for_status()
    api.post(path, json=widget("bystander")).raise_for_status()
    api.delete(f"{path}/owner").raise_for_status()
    until(api, path, lambda found: set(found) == {"bystander"})


def test_an_owner_that_never_was(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    ghost = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ghost", "uid": "no-such-uid"}}
    api.post(path, json=owned("orphan", ghost)).raise_for_status()
    until(api, path, lambda found: not found)


def test_one_living_owner_is_enough(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    one, two = (api.post(path, json=widget(name)).json() for name in ("one", "two"))
    body = owned("child", one)
    body["metadata"]["ownerReferences"] += owned("child", two)["metadata"]["ownerReferences"]
    api.post(path, json=body).raise_for_status()
    api.delete(f"{path}/one").raise_for_status()
    assert "child" in until(api, path, lambda found: "one" not in found)
    api.delete(f"{path}/two").raise_for_status()
    until(api, path, lambda found: not found)


def test_foreground_deletion_takes_dependents_first(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    owner = api.post(path, json=widget("owner")).json()
    held = owned("held", owner, blockOwnerDeletion=True)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.post(path, json=held).raise_for_status()
    answer = api.request("DELETE", f"{path}/owner", json={"propagationPolicy": "Foreground"}).json()
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    until(api, path, lambda found: bool(found["held"]["metadata"].get("deletionTimestamp")))
    assert api.get(f"{path}/owner").status_code == 200
    api.patch(f"{path}/held", json={"metadata": {"finalizers": None}}, headers=MERGE).raise_for_status()
    until(api, path, lambda found: not found)


def test_orphans_stay(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    owner = api.post(path, json=widget("owner")).json()
    api.post(path, json=owned("child", owner)).raise_for_status()
    api.request("DELETE", f"{path}/owner", json={"propagationPolicy": "Orphan"}).raise_for_status()
    found = until(api, path, lambda found: "owner" not in found)
    assert "ownerReferences" not in found["child"]["metadata"]


def test_a_namespace_says_what_keeps_it(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    body = widget("held")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    api.post(path, json=body).raise_for_status()
    api.delete(f"/api/v1/namespaces/{namespace}").raise_for_status()

    def kept(found: dict[str, dict[str, Any]]) -> bool:
        conditions = found[namespace]["status"].get("conditions") or []
        return any(item["type"] == "NamespaceFinalizersRemaining" and item["status"] == "True" for item in conditions)

    found = until(api, "/api/v1/namespaces", kept)
    texts = [item["message"] for item in found[namespace]["status"]["conditions"]]
    assert "Some resources are remaining: widgets.example.com has 1 resource instances" in texts
    api.patch(f"{path}/held", json={"metadata": {"finalizers": None}}, headers=MERGE).raise_for_status()
    until(api, "/api/v1/namespaces", lambda found: namespace not in found)


def test_default_accounts_come_back(api: httpx.Client, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    uid = until(api, accounts, lambda found: "default" in found)["default"]["metadata"]["uid"]
    api.delete(f"{accounts}/default").raise_for_status()
    until(api, accounts, lambda found: "default" in found and found["default"]["metadata"]["uid"] != uid)
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    assert "BEGIN CERTIFICATE" in until(api, maps, bool)["kube-root-ca.crt"]["data"]["ca.crt"]


def test_endpoints_follow_ready_pods(api: httpx.Client, namespace: str) -> None:
    core = f"/api/v1/namespaces/{namespace}"
    ports = [{"name": "http", "containerPort": 8080}]
    spec = {"containers": [{"name": "c", "image": "i", "ports": ports}]}
    api.post(f"{core}/pods", json={"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": spec}).raise_for_status()
    service = {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}
    api.post(f"{core}/services", json={"metadata": {"name": "s"}, "spec": service}).raise_for_status()

    def ready(value: str) -> None:
        status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": value}]}
        api.patch(f"{core}/pods/p/status", json={"status": status}, headers=MERGE).raise_for_status()

    ready("False")
    waiting = until(api, f"{core}/endpoints", lambda found: bool(found.get("s", {}).get("subsets")))
    assert "addresses" not in waiting["s"]["subsets"][0]
    ready("True")
    found = until(api, f"{core}/endpoints", lambda found: "addresses" in found["s"]["subsets"][0])["s"]["subsets"][0]
    assert found["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert found["addresses"][0]["targetRef"]["name"] == "p"
    (piece,) = until(api, f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", bool).values()
    assert piece["metadata"]["labels"]["kubernetes.io/service-name"] == "s"
    api.delete(f"{core}/services/s").raise_for_status()
    until(api, f"{core}/endpoints", lambda found: not found)


def test_events_expire_in_cluster_time(tmp_path: Path) -> None:
    cluster, stop = start_cluster(tmp_path, speed=36_000.0)
    try:
        with http_client(cluster, cluster.server.token("admin")) as api:
            event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default", "name": "x"}, "reason": "R"}
            path = "/api/v1/namespaces/default/events"
            api.post(path, json=event).raise_for_status()
            until(api, path, lambda found: not found)
    finally:
        stop()


def test_every_job_can_be_left_to_somebody_else(tmp_path: Path) -> None:
    cluster, stop = start_cluster(tmp_path, crds=[WIDGETS], housekeeping=frozenset())
    try:
        with http_client(cluster, cluster.server.token("admin")) as api:
            api.post("/api/v1/namespaces", json={"metadata": {"name": "left"}}).raise_for_status()
            assert api.get("/api/v1/namespaces/left/serviceaccounts").json()["items"] == []
            api.delete("/api/v1/namespaces/left").raise_for_status()
            finalize = api.get("/api/v1/namespaces/left").json()
            assert finalize["status"]["phase"] == "Terminating"
            finalize["spec"] = {}
            api.put("/api/v1/namespaces/left/finalize", json=finalize).raise_for_status()
            assert api.get("/api/v1/namespaces/left").status_code == 404
    finally:
        stop()
    assert len(ALL) == 5
    with pytest.raises(ValueError, match="unknown housekeeping jobs: typo"):
        start_cluster(tmp_path / "other", housekeeping=frozenset({"typo"}))
