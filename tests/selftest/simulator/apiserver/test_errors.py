"""Refusals: codes, reasons, messages and details as a real API server gives them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import WIDGET_PATH, Cluster, http_client, widget

MERGE = {"Content-Type": "application/merge-patch+json"}


def refused(answer: httpx.Response, code: int, reason: str) -> dict[str, Any]:
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("reason", "")) == (code, code, reason), body
    assert body["kind"] == "Status"
    assert body["status"] == "Failure"
    found: dict[str, Any] = body
    return found


def test_missing_objects(api: httpx.Client, namespace: str) -> None:
    body = refused(api.get(WIDGET_PATH.format(namespace) + "/x"), 404, "NotFound")
    assert body["message"] == 'widgets.example.com "x" not found'
    assert body["details"] == {"name": "x", "group": "example.com", "kind": "widgets"}
    body = refused(api.get(f"/api/v1/namespaces/{namespace}/pods/x"), 404, "NotFound")
    assert body["message"] == 'pods "x" not found'
    assert body["details"] == {"name": "x", "kind": "pods"}


def test_missing_namespaces(api: httpx.Client) -> None:
    body = refused(api.post(WIDGET_PATH.format("zzz"), json=widget("x")), 404, "NotFound")
    assert body["message"] == 'namespaces "zzz" not found'
    assert api.get(WIDGET_PATH.format("zzz")).json()["items"] == []


def test_unknown_paths(api: httpx.Client, namespace: str) -> None:
    body = refused(api.get("/api/v1/nonsense"), 404, "NotFound")
    assert body["message"] == "the server could not find the requested resource"
    assert body["details"] == {}
    for path in ("/nonsense", "/apis/no.such", "/apis/no.such/v1/things", "/apis/example.com/v1beta1/nonsense"):
        answer = api.get(path)
        assert (answer.status_code, answer.text) == (404, "404 page not found\n")
        assert answer.headers["Content-Type"].startswith("text/plain")


def test_existing_and_stale(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    first = api.post(path, json=widget("x", count=1)).json()
    body = refused(api.post(path, json=widget("x")), 409, "AlreadyExists")
    assert body["message"] == 'widgets.example.com "x" already exists'
    api.patch(f"{path}/x", json={"spec": {"count": 2}}, headers=MERGE)
    body = refused(api.put(f"{path}/x", json=first), 409, "Conflict")
    assert body["message"] == (
        'Operation cannot be fulfilled on widgets.example.com "x": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "spec": {"count": 3}}
    refused(api.patch(f"{path}/x", json=stale, headers=MERGE), 409, "Conflict")
    options = {"preconditions": {"uid": "wrong"}}
    body = refused(api.request("DELETE", f"{path}/x", json=options), 409, "Conflict")
    uid = first["metadata"]["uid"]
    assert body["message"] == (
        f'Operation cannot be fulfilled on Widget.example.com "x": the UID in the precondition (wrong) does not match '
        f"the UID in record ({uid}). The object might have been deleted and then recreated"
    )


def test_replacing_needs_the_version_for_custom_resources_only(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("x", count=1))
    body = refused(api.put(f"{path}/x", json=widget("x", count=2)), 422, "Invalid")
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in body["message"]
    refused(api.put(f"{path}/absent", json=widget("absent")), 404, "NotFound")
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    config = {"metadata": {"name": "c"}, "data": {"a": "1"}}
    api.post(maps, json=config)
    assert api.put(f"{maps}/c", json={"metadata": {"name": "c"}, "data": {"a": "2"}}).status_code == 200


def test_names_and_namespaces_must_agree_with_the_url(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("a"))
    body = refused(api.put(f"{path}/a", json=widget("b")), 400, "BadRequest")
    assert body["message"] == "the name of the object (b) does not match the name on the URL (a)"
    other = widget("c")
    other["metadata"]["namespace"] = "elsewhere"
    body = refused(api.post(path, json=other), 400, "BadRequest")
    assert body["message"] == ("the namespace of the provided object does not match the namespace sent on the request")


def test_names_are_checked(api: httpx.Client, namespace: str) -> None:
    body = refused(api.post("/api/v1/namespaces", json={"metadata": {"name": "llama-3.1"}}), 422, "Invalid")
    assert 'metadata.name: Invalid value: "llama-3.1": must not contain dots' in body["message"]
    assert body["details"]["causes"][0]["field"] == "metadata.name"
    refused(api.post(WIDGET_PATH.format(namespace), json=widget("Upper")), 422, "Invalid")
    assert api.post(WIDGET_PATH.format(namespace), json=widget("with.dots")).status_code == 201
    labelled = widget("x")
    labelled["metadata"]["labels"] = {"a": "not/allowed"}
    body = refused(api.post(WIDGET_PATH.format(namespace), json=labelled), 422, "Invalid")
    assert "metadata.labels: Invalid value" in body["message"]
    nameless = {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {}}
    body = refused(api.post(WIDGET_PATH.format(namespace), json=nameless), 422, "Invalid")
    assert "metadata.name: Required value: name or generateName is required" in body["message"]


def test_bodies_that_cannot_be_read(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    refused(api.post(path, content=b"{", headers={"Content-Type": "application/json"}), 400, "BadRequest")
    answer = api.post(path, content=b"a", headers={"Content-Type": "text/plain"})
    body = refused(answer, 415, "UnsupportedMediaType")
    assert "the body of the request was in an unknown format - accepted media types include:" in body["message"]
    api.post(path, json=widget("x"))
    body = refused(api.patch(f"{path}/x", content=b"{", headers=MERGE), 400, "BadRequest")
    assert body["message"].startswith("error decoding patch: ")
    refused(api.patch(f"{path}/x", json=[], headers=MERGE), 400, "BadRequest")
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    refused(api.patch(f"{path}/x", json={}, headers=strategic), 415, "UnsupportedMediaType")
    refused(api.patch(f"{path}/x", json={}), 415, "UnsupportedMediaType")
    refused(api.get(path, headers={"Accept": "text/html"}), 406, "NotAcceptable")


def test_wrong_value_types_in_built_in_kinds(api: httpx.Client, namespace: str) -> None:
    body = {"metadata": {"name": "c"}, "data": {"a": 1}}
    found = refused(api.post(f"/api/v1/namespaces/{namespace}/configmaps", json=body), 400, "BadRequest")
    assert "cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field" in found["message"]


def test_verbs_that_are_not_served(api: httpx.Client) -> None:
    body = refused(api.delete("/api/v1/namespaces"), 405, "MethodNotAllowed")
    assert body["message"] == "the server does not allow this method on the requested resource"


def test_protected_and_terminating_namespaces(api: httpx.Client, namespace: str) -> None:
    body = refused(api.delete("/api/v1/namespaces/default"), 403, "Forbidden")
    assert body["message"] == 'namespaces "default" is forbidden: this namespace may not be deleted'
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=held).raise_for_status()
    gone = api.delete(f"/api/v1/namespaces/{namespace}").json()
    assert gone["status"]["phase"] == "Terminating"
    assert api.delete(f"/api/v1/namespaces/{namespace}").status_code == 200
    body = refused(api.post(path, json=widget("late")), 403, "Forbidden")
    assert body["message"] == (
        f'widgets.example.com "late" is forbidden: unable to create new content in namespace {namespace} because it is '
        "being terminated"
    )
    cause = body["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("NamespaceTerminating", "metadata.namespace")
    api.patch(f"{path}/held", json={"metadata": {"finalizers": None}}, headers=MERGE).raise_for_status()


def test_several_causes_are_listed(api: httpx.Client, namespace: str) -> None:
    bad = widget("x", count="string", tier="z", text="toolong", storage={}, items=[{"name": "a"}, {"name": "a"}])
    body = refused(api.post(WIDGET_PATH.format(namespace), json=bad), 422, "Invalid")
    assert body["details"]["kind"] == "Widget"
    assert body["message"].startswith('Widget.example.com "x" is invalid: [')
    causes = {cause["field"]: (cause["reason"], cause["message"]) for cause in body["details"]["causes"]}
    assert causes == {
        "spec.count": (
            "FieldValueTypeInvalid",
            'Invalid value: "string": spec.count in body must be of type integer: "string"',
        ),
        "spec.tier": ("FieldValueNotSupported", 'Unsupported value: "z": supported values: "a", "b"'),
        "spec.text": ("FieldValueTooLong", "Too long: may not be more than 4 bytes"),
        "spec.storage.uri": ("FieldValueRequired", "Required value"),
        "spec.items[1]": ("FieldValueDuplicate", 'Duplicate value: {"name":"a"}'),
    }
    bad = widget("x", items=[{"name": str(number)} for number in range(4)])
    body = refused(api.post(WIDGET_PATH.format(namespace), json=bad), 422, "Invalid")
    assert "spec.items: Too many: 4: must have at most 3 items" in body["message"]


def test_strict_and_warning_validation(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    loose = widget("x", bogus=1)
    body = refused(api.post(path, json=loose, params={"fieldValidation": "Strict"}), 400, "BadRequest")
    assert body["message"] == (
        'Widget in version "v1beta1" cannot be handled as a Widget: strict decoding error: unknown field "spec.bogus"'
    )
    answer = api.post(path, json=loose)
    assert answer.status_code == 201
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.bogus\\""'
    assert "bogus" not in answer.json()["spec"]
    strict = {"fieldValidation": "Strict"}
    answer = api.patch(f"{path}/x", json={"spec": {"bogus": 1}}, headers=MERGE, params=strict)
    body = refused(answer, 422, "Invalid")
    assert body["details"]["causes"][0]["field"] == "patch"
    twice = (
        b'{"apiVersion":"example.com/v1beta1","kind":"Widget","metadata":{"name":"y"},"spec":{"tier":"a","tier":"b"}}'
    )
    headers = {"Content-Type": "application/json"}
    body = refused(api.post(path, content=twice, headers=headers, params=strict), 400, "BadRequest")
    assert 'duplicate field "spec.tier"' in body["message"]


@pytest.mark.parametrize(
    ("token", "code", "reason"), [("wrong", 401, "Unauthorized"), (None, 403, "Forbidden")], ids=["bad", "none"]
)
def test_credentials(cluster: Cluster, token: str | None, code: int, reason: str) -> None:
    with http_client(cluster, token) as client:
        body = refused(client.get("/api/v1/pods"), code, reason)
        assert client.get("/healthz").text == "ok"
        assert client.get("/version/").json()["gitVersion"].startswith("v1.")
    if token is None:
        assert body["message"] == (
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
            "at the cluster scope"
        )
    else:
        assert body["message"] == "Unauthorized"


def test_apply_refusals(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace) + "/x"
    headers = {"Content-Type": "application/apply-patch+yaml"}
    body = refused(api.patch(path, json=widget("x"), headers=headers), 422, "Invalid")
    assert "fieldManager: Required value: is required for apply patch" in body["message"]
    manager = {"fieldManager": "m"}
    managed = widget("x")
    managed["metadata"]["managedFields"] = [{"manager": "m"}]
    body = refused(api.patch(path, json=managed, headers=headers, params=manager), 400, "BadRequest")
    assert body["message"] == "metadata.managedFields must be nil"
    body = refused(api.patch(path, json=widget("x", nope=1), headers=headers, params=manager), 500, "")
    assert ".spec.nope: field not declared in schema" in body["message"]
    assert api.patch(path, json=widget("x"), headers=headers, params=manager).status_code == 201
    body = refused(api.patch(path, json={}, headers=MERGE, params={"force": "true"}), 422, "Invalid")
    assert body["details"]["causes"][0]["reason"] == "FieldValueForbidden"


def test_list_parameters(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    body = refused(api.get(path, params={"fieldSelector": "spec.n=1"}), 400, "BadRequest")
    assert body["message"] == "field label not supported: spec.n"
    body = refused(api.get(path, params={"labelSelector": "a b"}), 400, "BadRequest")
    assert body["message"].startswith("unable to parse requirement: ")
    body = refused(api.get(path, params={"continue": "garbage"}), 400, "BadRequest")
    assert body["message"].startswith("invalid continue token: ")
    body = refused(api.get(path, params={"resourceVersionMatch": "Exact"}), 422, "Invalid")
    assert body["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')
    refused(api.get(path, params={"watch": "true", "sendInitialEvents": "true"}), 422, "Invalid")
    refused(api.post(path, json={}, params={"dryRun": "x"}), 422, "Invalid")


def test_creation_does_not_take_a_version(api: httpx.Client, namespace: str) -> None:
    body = widget("x")
    body["metadata"]["resourceVersion"] = "5"
    found = refused(api.post(WIDGET_PATH.format(namespace), json=body), 500, "InternalError")
    assert found["message"] == "resourceVersion should not be set on objects to be created"
