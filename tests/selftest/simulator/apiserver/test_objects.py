"""What happens to objects when they are written: metadata, defaults, status, generation, deletion."""

from __future__ import annotations

import re
from typing import Any

import httpx

from .conftest import WIDGET_PATH, widget

MERGE = {"Content-Type": "application/merge-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


def create(api: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def patch(api: httpx.Client, path: str, body: Any, **params: str) -> dict[str, Any]:
    answer = api.patch(path, json=body, headers=MERGE, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_server_owns_metadata(api: httpx.Client, namespace: str) -> None:
    body = widget("x", count=1)
    body["metadata"] |= {"uid": "mine", "generation": 7, "creationTimestamp": "2000-01-01T00:00:00Z", "annotations": {}}
    body["status"] = {"count": 9}
    meta = (found := create(api, WIDGET_PATH.format(namespace), body))["metadata"]
    assert re.fullmatch(r"[0-9a-f-]{36}", meta["uid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta["creationTimestamp"])
    assert not meta["creationTimestamp"].startswith("2000")
    assert meta["generation"] == 1
    assert "annotations" not in meta
    assert "status" not in found


def test_generated_names(api: httpx.Client, namespace: str) -> None:
    body = widget("")
    body["metadata"] = {"generateName": "pre-"}
    name = create(api, WIDGET_PATH.format(namespace), body)["metadata"]["name"]
    assert re.fullmatch(r"pre-[bcdfghjklmnpqrstvwxz2456789]{5}", name)


def test_generation_counts_spec_changes_only(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    create(api, path, widget("x", count=1))
    one = f"{path}/x"
    assert patch(api, one, {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert patch(api, one, {"spec": {"count": 2}})["metadata"]["generation"] == 2
    assert patch(api, f"{one}/status", {"status": {"count": 1}})["metadata"]["generation"] == 2


def test_status_and_spec_are_written_apart(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    create(api, path, widget("x", count=1))
    found = patch(api, f"{path}/x", {"spec": {"count": 2}, "status": {"count": 5}})
    assert "status" not in found
    change = {"spec": {"count": 4}, "status": {"count": 5}, "metadata": {"labels": {"a": "b"}}}
    found = patch(api, f"{path}/x/status", change)
    assert found["status"] == {"count": 5}
    assert found["spec"]["count"] == 2
    assert "labels" not in found["metadata"]
    found["status"] = {"count": 6}
    answer = api.put(f"{path}/x/status", json=found)
    assert answer.json()["status"] == {"count": 6}


def test_writing_nothing_keeps_the_version(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    first = create(api, path, widget("x", count=1))
    assert patch(api, f"{path}/x", {"spec": {"count": 1}}) == first
    assert api.put(f"{path}/x", json=first).json() == first
    applied = api.patch(f"{path}/x", json=widget("x", count=1), headers=APPLY, params={"fieldManager": "m"}).json()
    again = api.patch(f"{path}/x", json=widget("x", count=1), headers=APPLY, params={"fieldManager": "m"}).json()
    assert again == applied


def test_defaults_and_pruning(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    found = create(api, path, {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {"name": "bare"}})
    assert "spec" not in found
    found = create(api, path, widget("x", tier=None, count=None, extra=1, free={"any": {"thing": [1]}}))
    assert found["spec"] == {"tier": "a", "free": {"any": {"thing": [1]}}}


def test_dry_run_stores_nothing(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    answer = api.post(path, json=widget("x", count=1), params={"dryRun": "All"})
    assert answer.status_code == 201
    assert answer.json()["metadata"]["uid"]
    assert "resourceVersion" not in answer.json()["metadata"]
    assert api.get(f"{path}/x").status_code == 404
    create(api, path, widget("x", count=1))
    patch(api, f"{path}/x", {"spec": {"count": 2}}, dryRun="All")
    api.delete(f"{path}/x", params={"dryRun": "All"}).raise_for_status()
    assert api.get(f"{path}/x").json()["spec"]["count"] == 1


def test_applied_fields_left_out_are_removed(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace) + "/x"

    def apply(manager: str, *, force: bool = False, **spec: Any) -> httpx.Response:
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        return api.patch(path, json=widget("x", **spec), headers=APPLY, params=params)

    items = [{"name": "p", "value": "1"}, {"name": "q", "value": "2"}]
    assert apply("one", count=1, text="t", items=items).status_code == 201
    assert apply("two", text="t").status_code == 200
    found = apply("one", items=items[:1]).json()
    assert found["spec"] == {"text": "t", "items": items[:1], "tier": "a"}
    clash = apply("two", text="u", items=[{"name": "p", "value": "9"}])
    assert clash.status_code == 409
    assert clash.json()["message"] == ('Apply failed with 1 conflict: conflict with "one": .spec.items[name="p"].value')
    found = apply("two", force=True, text="u", items=[{"name": "p", "value": "9"}]).json()
    assert found["spec"]["items"] == [{"name": "p", "value": "9"}]
    assert apply("one", items=[{"name": "p"}]).json()["spec"]["items"] == [{"name": "p", "value": "9"}]


def test_plain_updates_take_fields_over(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace) + "/x"
    api.patch(path, json=widget("x", count=1), headers=APPLY, params={"fieldManager": "one"})
    patch(api, path, {"spec": {"count": 2}}, fieldManager="editor")
    clash = api.patch(path, json=widget("x", count=1), headers=APPLY, params={"fieldManager": "one"})
    assert clash.json()["message"] == (
        'Apply failed with 1 conflict: conflict with "editor" using example.com/v1beta1: .spec.count'
    )
    assert clash.json()["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "editor" using example.com/v1beta1',
            "field": ".spec.count",
        }
    ]


def test_applied_status_has_its_own_entry(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace) + "/x"
    params = {"fieldManager": "one"}
    api.patch(path, json=widget("x", count=1), headers=APPLY, params=params)
    body = {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {"name": "x"}, "status": {"count": 2}}
    found = api.patch(f"{path}/status", json=body, headers=APPLY, params=params).json()
    assert found["status"] == {"count": 2}
    assert found["spec"]["count"] == 1
    entries = {item.get("subresource", ""): item["fieldsV1"] for item in found["metadata"]["managedFields"]}
    assert entries == {"": {"f:spec": {"f:count": {}}}, "status": {"f:status": {"f:count": {}}}}


def test_strategic_patches(api: httpx.Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    containers = [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}]
    create(api, path, {"metadata": {"name": "p", "labels": {"k": "v"}}, "spec": {"containers": containers}})
    change = {"metadata": {"labels": {"k": None, "n": "1"}}, "spec": {"containers": [{"name": "b", "image": "b:2"}]}}
    found = api.patch(f"{path}/p", json=change, headers=STRATEGIC).json()
    assert [item["image"] for item in found["spec"]["containers"]] == ["a:1", "b:2"]
    assert found["metadata"]["labels"] == {"n": "1"}
    frozen = {"spec": {"containers": [{"name": "a", "command": ["x"]}]}}
    assert api.patch(f"{path}/p", json=frozen, headers=STRATEGIC).status_code == 422


def test_json_patches(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    version = create(api, path, widget("x", count=1))["metadata"]["resourceVersion"]
    headers = {"Content-Type": "application/json-patch+json"}
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    replace = {"op": "replace", "path": "/spec/count", "value": 2}
    assert api.patch(f"{path}/x", json=[guard, replace], headers=headers).json()["spec"]["count"] == 2
    answer = api.patch(f"{path}/x", json=[guard, replace], headers=headers)
    assert answer.status_code == 422
    assert answer.json()["message"] == "the server rejected our request due to an error in our request"
    missing = {"op": "remove", "path": "/spec/nope"}
    assert api.patch(f"{path}/x", json=[missing], headers=headers).status_code == 422


def test_deleting_answers_a_status_or_the_object(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    uid = create(api, path, widget("x"))["metadata"]["uid"]
    answer = api.delete(f"{path}/x").json()
    assert answer["status"] == "Success"
    assert answer["details"] == {"name": "x", "group": "example.com", "kind": "widgets", "uid": uid}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    create(api, pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    assert api.delete(f"{pods}/p").json()["kind"] == "Pod"


def test_bound_pods_get_their_grace(api: httpx.Client, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    create(api, pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    assert api.post(f"{pods}/p/binding", json=target).status_code == 201
    assert api.post(f"{pods}/p/binding", json=target).status_code == 409
    found = api.delete(f"{pods}/p").json()
    assert found["metadata"]["deletionGracePeriodSeconds"] == 30
    assert found["metadata"]["deletionTimestamp"]
    assert api.get(f"{pods}/p").status_code == 200
    api.delete(f"{pods}/p", params={"gracePeriodSeconds": "0"}).raise_for_status()
    assert api.get(f"{pods}/p").status_code == 404


def test_finalizers_hold_an_object(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    body = widget("x", count=1)
    body["metadata"]["finalizers"] = ["example.com/a"]
    create(api, path, body)
    held = api.delete(f"{path}/x").json()
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    assert held["metadata"]["generation"] == 2
    assert api.delete(f"{path}/x").json() == held
    more = {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}
    answer = api.patch(f"{path}/x", json=more, headers=MERGE)
    assert answer.status_code == 422
    assert (
        'no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/b"}'
        in answer.json()["message"]
    )
    last = patch(api, f"{path}/x", {"metadata": {"finalizers": []}})
    assert last["metadata"]["resourceVersion"] == held["metadata"]["resourceVersion"]
    assert api.get(f"{path}/x").status_code == 404


def test_deleting_a_collection(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    for name, colour in (("a", "red"), ("b", "red"), ("c", "blue")):
        body = widget(name)
        body["metadata"]["labels"] = {"colour": colour}
        create(api, path, body)
    answer = api.delete(path, params={"labelSelector": "colour=red"}).json()
    assert [item["metadata"]["name"] for item in answer["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in api.get(path).json()["items"]] == ["c"]


def test_services_and_secrets_are_completed(api: httpx.Client, namespace: str) -> None:
    spec = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
    found = create(api, f"/api/v1/namespaces/{namespace}/services", {"metadata": {"name": "s"}, "spec": spec})["spec"]
    assert found["clusterIP"].startswith("10.96.")
    assert found["clusterIPs"] == [found["clusterIP"]]
    assert found["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (found["type"], found["sessionAffinity"], found["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    secret = {"metadata": {"name": "k"}, "stringData": {"a": "b"}}
    found = create(api, f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert (found["type"], found["data"]) == ("Opaque", {"a": "Yg=="})
    assert "stringData" not in found


def test_both_event_groups_show_the_same_events(api: httpx.Client, namespace: str) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "p"},
        "reason": "Tested",
        "message": "hello",
        "type": "Normal",
        "source": {"component": "me"},
    }
    create(api, f"/api/v1/namespaces/{namespace}/events", event)
    found = api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/e").json()
    assert (found["apiVersion"], found["note"], found["regarding"]["name"]) == ("events.k8s.io/v1", "hello", "p")
    modern = {"metadata": {"name": "f"}, "regarding": event["involvedObject"], "note": "hi", "reason": "R"}
    create(api, f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", modern)
    chosen = {"fieldSelector": "involvedObject.name=p,reason=R"}
    items = api.get(f"/api/v1/namespaces/{namespace}/events", params=chosen).json()["items"]
    assert [item["message"] for item in items] == ["hi"]
    wrong = {**event, "metadata": {"name": "g"}, "involvedObject": {"namespace": "other"}}
    assert api.post(f"/api/v1/namespaces/{namespace}/events", json=wrong).status_code == 422


def test_eviction_respects_budgets(api: httpx.Client, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}]}
    create(api, pods, {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": spec})
    patch(api, f"{pods}/p/status", {"status": {"phase": "Running"}})
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
    create(api, f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", budget)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": namespace}}
    answer = api.post(f"{pods}/p/eviction", json=eviction)
    assert answer.status_code == 429
    assert answer.json()["details"]["causes"][0]["reason"] == "DisruptionBudget"
    api.delete(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/b").raise_for_status()
    assert api.post(f"{pods}/p/eviction", json=eviction).status_code == 201
    assert api.get(f"{pods}/p").status_code == 404
