"""Lists and watches: versions, pages, windows, bookmarks, selectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import WIDGET_PATH, Cluster, start_cluster, widget

MERGE = {"Content-Type": "application/merge-patch+json"}


@contextmanager
def watching(api: httpx.Client, path: str, **params: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """A watch; calling what it gives returns the next event."""
    with api.stream("GET", path, params={"watch": "true", **params}) as stream:
        assert stream.status_code == 200, stream.read()
        lines = stream.iter_lines()
        yield lambda: json.loads(next(lines))


def seen(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


def labelled(name: str, **labels: str) -> dict[str, Any]:
    body = widget(name)
    body["metadata"]["labels"] = labels
    return body


def test_headers_come_before_the_first_event(api: httpx.Client, namespace: str) -> None:
    params = {"watch": "1", "resourceVersion": "0"}
    with api.stream("GET", WIDGET_PATH.format(namespace), params=params) as stream:
        assert stream.status_code == 200
        assert stream.headers["Transfer-Encoding"] == "chunked"


def test_every_event_after_a_version(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    version = api.get(path).json()["metadata"]["resourceVersion"]
    api.post(path, json=widget("x", count=1))
    api.patch(f"{path}/x", json={"spec": {"count": 2}}, headers=MERGE)
    gone = api.delete(f"{path}/x").json()
    assert gone["status"] == "Success"
    with watching(api, path, resourceVersion=version) as following:
        events = [following() for _ in range(3)]
    assert [seen(event) for event in events] == [("ADDED", "x"), ("MODIFIED", "x"), ("DELETED", "x")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)
    assert events[2]["object"]["spec"]["count"] == 2


def test_without_a_version_what_is_there_comes_first(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("old"))
    with watching(api, path) as following:
        assert seen(following()) == ("ADDED", "old")
        api.post(path, json=widget("new"))
        assert seen(following()) == ("ADDED", "new")


def test_timed_watches_end_cleanly(api: httpx.Client, namespace: str) -> None:
    params = {"watch": "true", "timeoutSeconds": "1", "allowWatchBookmarks": "true", "resourceVersion": "0"}
    answer = api.get(WIDGET_PATH.format(namespace), params=params)
    assert answer.status_code == 200
    lines = answer.text.splitlines()
    assert json.loads(lines[-1])["type"] == "BOOKMARK"
    assert set(json.loads(lines[-1])["object"]) == {"kind", "apiVersion", "metadata"}


def test_initial_events_end_with_a_bookmark(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("x"))
    options = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": "",
        "allowWatchBookmarks": "true",
    }
    with watching(api, path, **options) as following:
        assert seen(following()) == ("ADDED", "x")
        mark = following()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_objects_move_in_and_out_of_a_selection(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    version = api.get(path).json()["metadata"]["resourceVersion"]
    with watching(api, path, resourceVersion=version, labelSelector="a=1") as following:
        api.post(path, json=labelled("x", a="0"))
        api.patch(f"{path}/x", json={"metadata": {"labels": {"a": "1"}}}, headers=MERGE)
        assert seen(following()) == ("ADDED", "x")
        api.patch(f"{path}/x", json={"metadata": {"labels": {"b": "1"}}}, headers=MERGE)
        assert seen(following()) == ("MODIFIED", "x")
        last = api.patch(f"{path}/x", json={"metadata": {"labels": {"a": "2"}}}, headers=MERGE).json()
        event = following()
    assert seen(event) == ("DELETED", "x")
    assert event["object"]["metadata"]["labels"]["a"] == "1"
    assert event["object"]["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]


def test_one_object_is_watched_by_name(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    with watching(api, path, fieldSelector="metadata.name=y", resourceVersion="0") as following:
        api.post(path, json=widget("x"))
        api.post(path, json=widget("y"))
        assert seen(following()) == ("ADDED", "y")
    assert api.get(f"{path}/y", params={"watch": "true"}).json()["kind"] == "Widget"


def test_the_last_finalizer_gone_is_one_event(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    body = widget("x")
    body["metadata"]["finalizers"] = ["example.com/a"]
    version = api.post(path, json=body).json()["metadata"]["resourceVersion"]
    with watching(api, path, resourceVersion=version) as following:
        api.delete(f"{path}/x")
        api.patch(f"{path}/x", json={"metadata": {"finalizers": None}}, headers=MERGE)
        api.post(path, json=widget("next"))
        assert [seen(following()) for _ in range(3)] == [("MODIFIED", "x"), ("DELETED", "x"), ("ADDED", "next")]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("a=1", ["x"]),
        ("a==1", ["x"]),
        ("a!=1", ["y", "z"]),
        ("a in (1,2)", ["x", "y"]),
        ("a notin (1,2)", ["z"]),
        ("a", ["x", "y"]),
        ("!a", ["z"]),
        ("a>1", ["y"]),
        ("a<2", ["x"]),
        ("a,b=3", ["y"]),
    ],
)
def test_label_selectors(api: httpx.Client, namespace: str, selector: str, names: list[str]) -> None:
    path = WIDGET_PATH.format(namespace)
    for body in (labelled("x", a="1"), labelled("y", a="2", b="3"), labelled("z")):
        api.post(path, json=body).raise_for_status()
    items = api.get(path, params={"labelSelector": selector}).json()["items"]
    assert [item["metadata"]["name"] for item in items] == names


def test_field_selectors_of_built_in_kinds(api: httpx.Client, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for name in ("p", "q"):
        body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        api.post(pods, json=body).raise_for_status()
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    api.post(f"{pods}/p/binding", json=target).raise_for_status()

    def names(selector: str) -> list[str]:
        items = api.get(pods, params={"fieldSelector": selector}).json()["items"]
        return [item["metadata"]["name"] for item in items]

    assert names("spec.nodeName=n1") == ["p"]
    assert names("spec.nodeName=") == ["q"]
    assert names("status.phase=Pending,metadata.name!=p") == ["q"]


def test_pages_show_one_moment(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    for name in "abcde":
        api.post(path, json=widget(name)).raise_for_status()
    first = api.get(path, params={"limit": "2"}).json()
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    api.delete(f"{path}/c").raise_for_status()
    api.post(path, json=widget("bb")).raise_for_status()
    second = api.get(path, params={"limit": "2", "continue": first["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    exact = {"resourceVersion": first["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    assert len(api.get(path, params=exact).json()["items"]) == 5
    assert len(api.get(path, params={"limit": "1", "resourceVersion": "0"}).json()["items"]) == 5


def test_a_version_of_the_future_times_out(api: httpx.Client, namespace: str) -> None:
    answer = api.get(WIDGET_PATH.format(namespace), params={"resourceVersion": "99999999"})
    assert answer.status_code == 504
    assert answer.json()["message"].startswith("Timeout: Too large resource version: 99999999, current: ")
    assert answer.headers["Retry-After"] == "1"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Cluster, httpx.Client]]:
    """A server that remembers three events per kind."""
    from .conftest import WIDGETS, http_client

    cluster, stop = start_cluster(tmp_path, crds=[WIDGETS], watch_window=3)
    with http_client(cluster, cluster.server.token("admin")) as client:
        yield cluster, client
    stop()


def test_what_is_too_old_is_said_to_be_gone(small: tuple[Cluster, httpx.Client]) -> None:
    _cluster, api = small
    path = WIDGET_PATH.format("default")
    old = api.post(path, json=widget("x", count=0)).json()["metadata"]["resourceVersion"]
    page = api.get(path, params={"limit": "1"}).json()
    api.post(path, json=widget("y"))
    page = api.get(path, params={"limit": "1"}).json()
    for number in range(1, 6):
        api.patch(f"{path}/x", json={"spec": {"count": number}}, headers=MERGE).raise_for_status()
    answer = api.get(path, params={"watch": "true", "resourceVersion": old})
    assert answer.status_code == 200
    (line,) = answer.text.splitlines()
    event = json.loads(line)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith(f"too old resource version: {old} (")
    answer = api.get(path, params={"continue": page["metadata"]["continue"], "limit": "1"})
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")
    rest = api.get(path, params={"continue": answer.json()["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in rest["items"]] == ["y"]
    exact = {"resourceVersion": old, "resourceVersionMatch": "Exact"}
    assert api.get(path, params=exact).status_code == 410


def test_tables_and_metadata_in_watches(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("x"))
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    with api.stream("GET", path, params={"watch": "true"}, headers=headers) as stream:
        lines = stream.iter_lines()
        first = json.loads(next(lines))["object"]
        api.post(path, json=widget("y"))
        second = json.loads(next(lines))["object"]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Tier", "Ready", "Count", "Age"]
    assert first["rows"][0]["cells"][:3] == ["x", "a", None]
    assert first["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert second["columnDefinitions"] is None
    headers = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    found = api.get(path, headers=headers).json()
    assert found["kind"] == "PartialObjectMetadataList"
    assert set(found["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_list_kinds_and_items(api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("x"))
    found = api.get(path).json()
    assert (found["kind"], found["items"][0]["kind"]) == ("WidgetList", "Widget")
    found = api.get(f"/api/v1/namespaces/{namespace}/configmaps").json()
    assert found["kind"] == "ConfigMapList"
    assert all("kind" not in item for item in found["items"])
