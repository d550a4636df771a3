from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_modelrt.cluster.model import (
    CONFIG_MAP,
    MANAGED_BY,
    MANAGER,
    NODE,
    POD,
    RUN_ID,
    ApiError,
    ClusterError,
    NotOurs,
    Ref,
    Selection,
)

from .conftest import RUN, Connected, pod
from .scripted import Answer, Asked, Cut, Stream, listing, missing, status

Connect = Callable[..., Connected]
REF = Ref(POD, "a", "ns")


def holding(*live: dict[str, Any]) -> Callable[[Asked], Answer]:
    """A server that finds ``live`` by name and says yes to every write."""
    by_name = {obj["metadata"]["name"]: obj for obj in live}

    def answer(asked: Asked) -> Answer:
        name = asked.path.rpartition("/")[2]
        if asked.method == "GET":
            return Answer(body=by_name[name]) if name in by_name else missing(name)
        if asked.method == "DELETE":
            return Answer(body={"kind": "Status", "status": "Success"})
        return Answer(201 if asked.method == "POST" else 200, asked.body)

    return answer


def writes(connected: Connected) -> list[Asked]:
    return [asked for asked in connected[1].asked if asked.method != "GET"]


def test_apply_creates_without_force_and_forces_over_our_own(connect: Connect) -> None:
    fresh = connect(holding())
    fresh[0].apply(pod("a"))
    again = connect(holding(pod("a")))
    again[0].apply(pod("a"))
    first, second = writes(fresh)[0], writes(again)[0]
    assert first.method == "PATCH"
    assert first.headers["content-type"] == "application/apply-patch+yaml"
    assert first.query == {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "false"}
    assert second.query["force"] == "true"


@pytest.mark.parametrize("theirs", [pod("a", run=None), pod("a", run="r-2")], ids=["a stranger's", "another run's"])
def test_nothing_of_others_is_touched(connect: Connect, theirs: dict[str, Any]) -> None:
    connected = connect(holding(theirs))
    cluster = connected[0]
    for attempt in (
        lambda: cluster.apply(pod("a")),
        lambda: cluster.replace(pod("a")),
        lambda: cluster.patch(REF, {"metadata": {"labels": {MANAGED_BY: MANAGER, RUN_ID: RUN}}}),
        lambda: cluster.delete(REF),
    ):
        with pytest.raises(NotOurs):
            attempt()
    assert writes(connected) == []


def test_manifests_without_our_labels_are_not_sent(connect: Connect) -> None:
    connected = connect(holding())
    for attempt in (connected[0].apply, connected[0].create):
        with pytest.raises(NotOurs, match="manifest of Pod ns/a is not ours"):
            attempt(pod("a", run=None))
    assert writes(connected) == []


def test_without_a_run_everything_is_read_only(connect: Connect) -> None:
    connected = connect(holding(pod("a")))
    reader = connected[0].for_run(None)
    assert reader.get(REF) is not None
    with pytest.raises(NotOurs, match="may only read"):
        reader.delete(REF)


def test_delete_is_bound_to_the_object_that_was_checked(connect: Connect) -> None:
    connected = connect(holding(pod("a", uid="u1")))
    assert connected[0].delete(REF, grace=0)
    sent = writes(connected)[0].body
    assert sent["preconditions"] == {"uid": "u1"}
    assert sent["gracePeriodSeconds"] == 0
    assert not connected[0].delete(REF, uid="another")
    assert not connected[0].delete(Ref(POD, "absent", "ns"))
    assert len(writes(connected)) == 1


def test_create_whose_answer_was_lost_finds_its_own_object(connect: Connect) -> None:
    posts = 0

    def script(asked: Asked) -> Answer | Cut:
        nonlocal posts
        if asked.method == "GET":
            return Answer(body=pod("a", version="77"))
        posts += 1
        return Cut() if posts == 1 else status(409, "AlreadyExists", 'pods "a" already exists', name="a")

    cluster, _ = connect(script)
    assert cluster.create(pod("a"))["metadata"]["resourceVersion"] == "77"


def test_create_over_an_existing_object_is_refused(connect: Connect) -> None:
    cluster, _ = connect(lambda _: status(409, "AlreadyExists", 'pods "a" already exists', name="a"))
    with pytest.raises(ApiError, match="already exists") as caught:
        cluster.create(pod("a"))
    assert caught.value.reason == "AlreadyExists"


def test_lists_of_many_pages_are_whole(connect: Connect) -> None:
    def script(asked: Asked) -> Answer:
        if "continue" not in asked.query:
            return listing(pod("a"), more="next")
        assert "resourceVersion" not in asked.query
        return listing(pod("b"))

    cluster, api = connect(script)
    found = cluster.list(POD, "ns", labels="a=b")
    assert [obj["metadata"]["name"] for obj in found] == ["a", "b"]
    assert {asked.query["labelSelector"] for asked in api.asked[1:]} == {"a=b"}


def test_a_list_that_expires_between_pages_starts_again_in_one_piece(connect: Connect) -> None:
    def script(asked: Asked) -> Answer:
        if asked.query.get("continue"):
            return status(410, "Expired", "the provided continue parameter is too old")
        return listing(pod("a"), more="next") if "limit" in asked.query else listing(pod("a"), pod("b"))

    cluster, _ = connect(script)
    assert len(cluster.list(POD, "ns")) == 2


def test_items_carry_their_kind_and_no_managed_fields(connect: Connect) -> None:
    item = {"metadata": {"name": "c", "managedFields": [{"manager": "x"}]}, "data": {"k": "v"}}
    cluster, _ = connect(lambda _: listing(item))
    assert cluster.list(CONFIG_MAP, "ns") == [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}
    ]


def test_metadata_lists_ask_for_no_payload(connect: Connect) -> None:
    cluster, api = connect(lambda _: listing())
    cluster.list_metadata(CONFIG_MAP, "ns")
    assert api.asked[-1].headers["accept"].startswith("application/json;as=PartialObjectMetadataList;")


def test_names_are_quoted_and_selectors_joined(connect: Connect) -> None:
    cluster, api = connect(lambda _: missing("a/b"))
    cluster.get(Ref(POD, "a/b", "n s"))
    assert api.asked[-1].path == "/api/v1/namespaces/n%20s/pods/a%2Fb"
    assert Selection(POD, "ns", name="a", fields="status.phase=Running").field_selector() == (
        "status.phase=Running,metadata.name=a"
    )


def test_unknown_kinds_are_looked_up_once(connect: Connect) -> None:
    route = {"apiVersion": "example.io/v1", "kind": "Route", "metadata": pod("r")["metadata"]}

    def script(asked: Asked) -> Answer:
        if asked.path == "/apis/example.io/v1":
            served = [
                {"name": "routes/status", "kind": "Route"},
                {"name": "routes", "kind": "Route", "namespaced": True},
            ]
            return Answer(body={"resources": served})
        return missing("r") if asked.method == "GET" else Answer(body=asked.body)

    connected = connect(script)
    connected[0].apply(route)
    connected[0].apply(route)
    assert [asked.path for asked in writes(connected)] == ["/apis/example.io/v1/namespaces/ns/routes/r"] * 2
    assert [asked.path for asked in connected[1].asked].count("/apis/example.io/v1") == 1


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"kind": "Pod", "metadata": {"name": "a"}}, "needs apiVersion, kind and metadata.name"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}, "names no namespace"),
        ({"apiVersion": "x.io/v1", "kind": "Y", "metadata": {"name": "a"}}, "serves no Y in x.io/v1"),
    ],
)
def test_incomplete_manifests_get_one_clear_error(connect: Connect, manifest: dict[str, Any], message: str) -> None:
    cluster, _ = connect(lambda _: Answer(404, "404 page not found\n"))
    with pytest.raises(ClusterError, match=message):
        cluster.apply(manifest)


def test_logs_are_bounded_redacted_and_decoded_with_patience(connect: Connect) -> None:
    cluster, api = connect(lambda _: Answer(200, "token=hf_abcdefghijklmnopqrstuvwx \ufffd" + "x" * 5000))
    text = cluster.logs("ns", "a", "c", previous=True, tail_lines=7, limit_bytes=1000)
    assert "hf_abc" not in text
    assert len(text.encode()) <= 1000
    asked = api.asked[-1].query
    assert asked == {"container": "c", "previous": "true", "tailLines": "7", "limitBytes": "1000"}


@pytest.mark.parametrize(
    "none_yet",
    [
        missing("a"),
        status(400, "BadRequest", 'container "c" in pod "a" is waiting to start: ContainerCreating'),
        status(400, "BadRequest", 'previous terminated container "c" in pod "a" not found'),
    ],
)
def test_a_log_that_is_not_there_is_empty(connect: Connect, none_yet: Answer) -> None:
    cluster, _ = connect(lambda _: none_yet)
    assert cluster.logs("ns", "a") == ""


def test_a_wrong_container_is_an_error(connect: Connect) -> None:
    cluster, _ = connect(lambda _: status(400, "BadRequest", "container zz is not valid for pod a"))
    with pytest.raises(ApiError, match="zz is not valid"):
        cluster.logs("ns", "a", "zz")


def test_events_of_one_object_oldest_first(connect: Connect) -> None:
    late = {"metadata": {"name": "2"}, "lastTimestamp": "2026-01-01T00:00:09Z"}
    early = {"metadata": {"name": "1"}, "lastTimestamp": None, "eventTime": "2026-01-01T00:00:05.000000Z"}
    cluster, api = connect(lambda _: listing(late, early))
    found = cluster.events(namespace="ns", name="a", kind="Pod", uid="u")
    assert [event["metadata"]["name"] for event in found] == ["1", "2"]
    assert api.asked[-1].query["fieldSelector"] == (
        "involvedObject.name=a,involvedObject.kind=Pod,involvedObject.uid=u"
    )


def test_gpus_of_nodes_that_take_pods(connect: Connect) -> None:
    def node(name: str, ready: str, **spec: bool) -> dict[str, Any]:
        state = {"conditions": [{"type": "Ready", "status": ready}], "allocatable": {"nvidia.com/gpu": "8"}}
        return {"metadata": {"name": name}, "spec": spec, "status": state}

    cluster, api = connect(
        lambda _: listing(node("a", "True"), node("lost", "Unknown"), node("cordoned", "True", unschedulable=True))
    )
    assert cluster.allocatable_gpus() == {"a": 8}
    asked = len(api.asked)
    assert cluster.allocatable_gpus(max_age=3600) == {"a": 8}
    assert len(api.asked) == asked, "what was read a moment ago will do"
    assert cluster.allocatable_gpus() == {"a": 8}
    assert len(api.asked) == asked + 1


def test_permission_review(connect: Connect) -> None:
    cluster, api = connect(lambda asked: Answer(201, {**asked.body, "status": {"allowed": True}}))
    assert cluster.can_i("delete", NODE)
    attributes = api.asked[-1].body["spec"]["resourceAttributes"]
    assert attributes == {"verb": "delete", "group": "", "resource": "nodes", "namespace": ""}


def test_no_watch_outlives_its_block(connect: Connect) -> None:
    cluster, _ = connect(lambda asked: Stream([]) if asked.watching else listing(pod("a")))
    with cluster.changes([Selection(POD, "ns")]) as changes:
        assert changes.get(60_000) is not None
        assert changes.get(60_000) is None
        assert changes.synced
        watching = [thread for thread in threading.enumerate() if thread.name == "modelrt-watch"]
        assert watching
    for thread in watching:
        thread.join(20)
    assert not any(thread.is_alive() for thread in watching)
