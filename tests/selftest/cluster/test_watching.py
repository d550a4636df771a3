from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.cluster.api import Api
from pytest_modelrt.cluster.connection import Connection
from pytest_modelrt.cluster.kubeconfig import resolve
from pytest_modelrt.cluster.model import NODE, POD, ApiError, ClusterTarget, Ref, Selection, WaitTimeout, WatchEvent
from pytest_modelrt.cluster.watching import Watcher

from .conftest import Connected, pod
from .scripted import Answer, Asked, Cut, Script, Stream, kubeconfig, listing, missing, serving, status

Connect = Callable[..., Connected]
Told = list[tuple[str, str, str]]


def event(kind: str, name: str, version: str, **metadata: Any) -> dict[str, Any]:
    return {"type": kind, "object": pod(name, version=version, **metadata)}


def bookmark(version: str) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": version}}}


GONE_410 = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


def scripted(lists: list[Answer], streams: list[Stream | Answer | Cut]) -> Script:
    """Lists and watches, each in turn; after the last stream, silence."""

    def answer(asked: Asked) -> Answer | Stream | Cut:
        if asked.watching:
            return streams.pop(0) if streams else Stream([])
        return lists.pop(0) if len(lists) > 1 else lists[0]

    return answer


def tell_until(connected: Connected, last: tuple[str, str, str]) -> Told:
    """What a watch of all pods tells, up to ``last``."""
    cluster, _ = connected
    told: Told = []
    for seen in cluster.watch(POD, "ns", deadline=Deadline(cluster.clock, 60_000)):
        metadata = seen.object["metadata"]
        told.append((seen.type, metadata["name"], metadata["resourceVersion"]))
        if told[-1] == last:
            return told
    raise AssertionError(f"the watch ended with {told}")


def test_what_is_there_comes_first_then_changes_from_that_version(connect: Connect) -> None:
    lists = [listing(pod("a", version="3"), version="7")]
    connected = connect(scripted(lists, [Stream([event("MODIFIED", "a", "8"), event("DELETED", "a", "9")])]))
    assert tell_until(connected, ("DELETED", "a", "9")) == [
        ("ADDED", "a", "3"),
        ("MODIFIED", "a", "8"),
        ("DELETED", "a", "9"),
    ]
    watch = connected[1].watches()[0]
    assert watch.query["resourceVersion"] == "7"
    assert watch.query["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize("then", ["end", "cut"])
def test_goes_on_from_the_last_event_or_bookmark(connect: Connect, then: str) -> None:
    torn = '{"type":"ADDED","object":{"metadata":{"na'
    streams: list[Stream | Answer | Cut] = [
        Stream([event("ADDED", "a", "11"), torn], then),
        Stream([bookmark("15")], then),
        Cut(),
        Stream([event("ADDED", "b", "16")]),
    ]
    connected = connect(scripted([listing(version="10")], streams))
    assert tell_until(connected, ("ADDED", "b", "16")) == [("ADDED", "a", "11"), ("ADDED", "b", "16")]
    assert [watch.query["resourceVersion"] for watch in connected[1].watches()] == ["10", "11", "15", "15"]


@pytest.mark.parametrize(
    "expired", [Stream([GONE_410], "end"), status(410, "Expired", "too old")], ids=["event", "http"]
)
def test_expired_version_lists_again_and_tells_only_the_difference(connect: Connect, expired: Stream | Answer) -> None:
    lists = [
        listing(pod("same", version="1"), pod("changed", version="2"), pod("lost", version="3"), version="10"),
        listing(pod("same", version="1"), pod("changed", version="22"), pod("new", version="23"), version="30"),
    ]
    connected = connect(scripted(lists, [expired, Stream([event("MODIFIED", "new", "31")])]))
    assert tell_until(connected, ("MODIFIED", "new", "31")) == [
        ("ADDED", "same", "1"),
        ("ADDED", "changed", "2"),
        ("ADDED", "lost", "3"),
        ("DELETED", "lost", "3"),
        ("MODIFIED", "changed", "22"),
        ("ADDED", "new", "23"),
        ("MODIFIED", "new", "31"),
    ]
    assert connected[1].watches()[-1].query["resourceVersion"] == "30"


def test_recreated_meanwhile_is_deleted_and_added(connect: Connect) -> None:
    lists = [listing(pod("a", version="1", uid="old")), listing(pod("a", version="20", uid="new"))]
    connected = connect(scripted(lists, [Stream([GONE_410], "end")]))
    assert tell_until(connected, ("ADDED", "a", "20")) == [
        ("ADDED", "a", "1"),
        ("DELETED", "a", "1"),
        ("ADDED", "a", "20"),
    ]


def test_survives_an_api_server_that_goes_away(connect: Connect) -> None:
    connected = connect(scripted([listing(pod("a"))], [Stream([]), Stream([event("DELETED", "a", "12")])]), speed=100)
    cluster, api = connected
    away, back = threading.Event(), threading.Event()
    cluster.on_outage(lambda _, ended: (away if ended is None else back).set())

    def bounce() -> None:
        api.down()
        away.wait(20)
        api.up()

    told: list[str] = []
    bouncing = threading.Thread(target=bounce)
    for seen in cluster.watch(POD, "ns", deadline=Deadline(cluster.clock, 6_000)):
        told.append(seen.type)
        if seen.type == "ADDED":
            bouncing.start()
        else:
            break
    bouncing.join(20)
    assert told == ["ADDED", "DELETED"]
    assert back.is_set()


def test_silence_is_not_trusted(tmp_path: Any) -> None:
    lists = [listing(pod("a", version="1")), listing(pod("a", version="2"))]
    with serving(scripted(lists, [Stream([])])) as server:
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")
        api = Api(Connection.from_kubeconfig(resolve(ClusterTarget(path))), ScaledClock(), tolerate=10)
        told: list[str] = []
        enough = threading.Event()

        def tell(seen: WatchEvent | None) -> None:
            told.append("synced" if seen is None else seen.type)
            if told[-1] == "MODIFIED":
                enough.set()

        watcher = Watcher(api, Selection(POD, "ns"), tell, silence=0.2)
        thread = threading.Thread(target=watcher.run, daemon=True)
        thread.start()
        assert enough.wait(20)
        watcher.close()
        thread.join(20)
        assert not thread.is_alive()
    assert told == ["ADDED", "synced", "MODIFIED"]


def test_a_refused_watch_is_an_error_and_does_not_wait(connect: Connect) -> None:
    cluster, _ = connect(lambda _: status(403, "Forbidden", "pods is forbidden"))
    with pytest.raises(ApiError, match="pods is forbidden"):
        list(cluster.watch(POD, "ns", deadline=Deadline(cluster.clock, 600_000)))


def test_several_watches_arrive_in_one_place(connect: Connect) -> None:
    node = {"metadata": {"name": "n", "uid": "n", "resourceVersion": "1"}}

    def script(asked: Asked) -> Answer | Stream:
        if asked.watching:
            return Stream([])
        return listing(node) if asked.path.endswith("/nodes") else listing(pod("a"))

    cluster, _ = connect(script)
    found = set()
    for resource, seen in cluster.watch_many([Selection(POD, "ns"), Selection(NODE)], Deadline(cluster.clock, 60_000)):
        found.add((resource, seen.object["kind"], seen.object["metadata"]["name"]))
        if len(found) == 2:
            break
    assert found == {(POD, "Pod", "a"), (NODE, "Node", "n")}


def test_stop_ends_a_watch_that_hears_nothing(connect: Connect) -> None:
    cluster, _ = connect(scripted([listing(pod("a"))], []))
    stop = threading.Event()
    seen = []
    for change in cluster.watch(POD, "ns", deadline=Deadline(cluster.clock, 600_000), stop=stop):
        seen.append(change.type)
        stop.set()
    assert seen == ["ADDED"]


def test_deadline_ends_a_watch(connect: Connect) -> None:
    cluster, _ = connect(scripted([listing()], []))
    assert list(cluster.watch(POD, "ns", deadline=Deadline(cluster.clock, 300))) == []


REF = Ref(POD, "a", "ns")


def waiting(streams: list[Stream | Answer | Cut], *found: dict[str, Any]) -> Script:
    """One pod: by name, in lists, and in the streams."""
    following = scripted([listing(*found)], streams)

    def answer(asked: Asked) -> Answer | Stream | Cut:
        if asked.path.endswith("/pods/a"):
            return Answer(body=found[0]) if found else missing("a")
        return following(asked)

    return answer


def test_wait_until_is_woken_by_the_change(connect: Connect) -> None:
    changed = {"type": "MODIFIED", "object": {**pod("a", version="12"), "status": {"phase": "Running"}}}
    cluster, api = connect(waiting([Stream([changed])], pod("a")))
    found = cluster.wait_until(
        REF, lambda obj: bool(obj and obj.get("status", {}).get("phase") == "Running"), Deadline(cluster.clock, 60_000)
    )
    assert found["metadata"]["resourceVersion"] == "12"
    assert api.watches()[0].query["fieldSelector"] == "metadata.name=a"


def test_wait_until_gives_back_the_last_state(connect: Connect) -> None:
    cluster, _ = connect(waiting([], pod("a", version="5")))
    with pytest.raises(WaitTimeout, match="waited 300 s in vain; it is there, version 5") as caught:
        cluster.wait_until(REF, lambda obj: obj is None, Deadline(cluster.clock, 300))
    assert caught.value.last is not None
    assert caught.value.last["metadata"]["name"] == "a"


def test_wait_gone_ends_with_the_deletion_or_the_same_name_anew(connect: Connect) -> None:
    for last in (event("DELETED", "a", "12"), event("MODIFIED", "a", "12", uid="another")):
        cluster, _ = connect(waiting([Stream([last])], pod("a")))
        cluster.wait_gone(REF, Deadline(cluster.clock, 60_000))
    cluster, _ = connect(waiting([]))
    cluster.wait_gone(REF, Deadline(cluster.clock, 0))


def test_wait_gone_says_what_holds_it(connect: Connect) -> None:
    held = pod("a", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["ome.io/f"])
    held["status"] = {"conditions": [{"type": "Stuck", "status": "True", "message": "node n7 is down"}]}
    cluster, _ = connect(waiting([], held))
    with pytest.raises(WaitTimeout) as caught:
        cluster.wait_gone(REF, Deadline(cluster.clock, 100))
    for words in ("finalizers ome.io/f", "node n7 is down", "kubectl get pods a -n ns -o yaml"):
        assert words in str(caught.value)
