from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.cluster.api import RateLimit
from pytest_modelrt.cluster.model import POD, ApiError, ApiUnavailable, Ref

from .conftest import Connected, pod
from .scripted import Answer, Asked, Cut, Script, missing, status

Connect = Callable[..., Connected]
REF = Ref(POD, "p", "ns")
FOUND = Answer(body=pod("p"))


def in_turn(*answers: Answer | Cut) -> Script:
    """One answer after the other, the last for ever."""
    turn: Iterator[Answer | Cut] = chain(answers, repeat(answers[-1]))
    return lambda _: next(turn)


@pytest.mark.parametrize(
    "trouble",
    [
        Cut(),
        Answer(502, "bad gateway"),
        status(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        status(504, "Timeout", "request did not complete within the allotted timeout"),
        status(500, "", "etcdserver: request timed out"),
        status(429, "TooManyRequests", "too many requests", retryAfterSeconds=1),
        Answer(500, "proxy error"),
    ],
    ids=["cut", "502", "503", "504", "etcd", "429", "plain-500"],
)
def test_short_trouble_is_ridden_out(connect: Connect, trouble: Answer | Cut) -> None:
    cluster, api = connect(in_turn(trouble, trouble, FOUND))
    assert cluster.get(REF) == pod("p")
    assert len([asked for asked in api.asked if asked.path.endswith("/pods/p")]) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        status(403, "Forbidden", 'pods "p" is forbidden'),
        status(409, "Conflict", "the object has been modified"),
        status(422, "Invalid", "spec.x: Required value"),
        status(500, "InternalError", 'Internal error occurred: failed calling webhook "v": no endpoints available'),
        status(500, "", "failed to create typed patch object: .spec.nope: field not declared in schema"),
        status(500, "InternalError", 'Get "https://10.0.0.7:10250/containerLogs/ns/p/c": dial tcp: connection refused'),
        status(500, "", "resourceVersion should not be set on objects to be created"),
    ],
    ids=["403", "409", "422", "webhook", "schema", "kubelet", "version"],
)
def test_a_refusal_is_not_an_outage(connect: Connect, refusal: Answer) -> None:
    cluster, api = connect(in_turn(refusal))
    with pytest.raises(ApiError) as caught:
        cluster.get(REF)
    assert caught.value.code == refusal.status
    assert len(api.asked) == 2
    assert cluster.outage_seconds == 0


def test_an_api_server_that_stays_away_is_given_up(connect: Connect) -> None:
    cluster, api = connect(in_turn(FOUND), tolerate_outage=200)
    api.down()
    with pytest.raises(ApiUnavailable, match=r"away for \d+ s.*refused"):
        cluster.get(REF)
    assert cluster.outage_seconds >= 200


def test_outage_is_told_and_measured(connect: Connect) -> None:
    seen: list[tuple[float, float | None]] = []
    began, ended = threading.Event(), threading.Event()

    def hook(start: float, end: float | None) -> None:
        seen.append((start, end))
        (began if end is None else ended).set()

    cluster, api = connect(in_turn(FOUND), speed=100, tolerate_outage=3000)
    cluster.on_outage(hook)
    api.down()
    result: list[object] = []
    thread = threading.Thread(target=lambda: result.append(cluster.get(REF)))
    thread.start()
    assert began.wait(20)
    api.up()
    thread.join(30)
    assert result == [pod("p")]
    assert ended.is_set()
    (start, nothing), (same_start, end) = seen
    assert nothing is None
    assert start == same_start
    assert end is not None
    assert cluster.outage_seconds == pytest.approx(end - start)


def test_waits_get_the_outage_back(connect: Connect) -> None:
    cluster, api = connect(in_turn(FOUND), speed=100, tolerate_outage=100)
    deadline = Deadline(cluster.clock, 50)
    fair = cluster.fair(deadline)
    api.down()
    with pytest.raises(ApiUnavailable):
        cluster.get(REF)
    assert deadline.expired
    assert fair.remaining > 0


def test_retry_after_is_obeyed_and_is_no_outage(connect: Connect) -> None:
    throttled = status(429, "TooManyRequests", "slow down")
    cluster, _ = connect(in_turn(Answer(429, throttled.body, {"Retry-After": "100"}), FOUND), speed=200)
    before = cluster.clock.monotonic()
    cluster.get(REF)
    assert cluster.clock.monotonic() - before >= 100
    assert cluster.outage_seconds == 0


def test_absent_object_is_none_but_an_unknown_kind_is_an_error(connect: Connect) -> None:
    cluster, _ = connect(in_turn(missing("p"), Answer(404, "404 page not found\n")))
    assert cluster.get(REF) is None
    with pytest.raises(ApiError, match="could not find the requested resource") as caught:
        cluster.get(REF)
    assert caught.value.reason == "NotFound"


def test_secrets_stay_out_of_errors(connect: Connect) -> None:
    cluster, _ = connect(lambda asked: Answer(400, f"bad header {asked.headers['authorization']}"))
    with pytest.raises(ApiError) as caught:
        cluster.get(REF)
    assert "a-token-nobody-may-see" not in str(caught.value)


class TickingClock(ScaledClock):
    """Time passes only by sleeping."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_rate_limit_allows_a_burst_and_then_its_rate() -> None:
    clock = TickingClock()
    limit = RateLimit(clock, per_second=10, burst=5)
    for _ in range(5):
        limit.acquire()
    assert clock.now == 0
    for _ in range(20):
        limit.acquire()
    assert clock.now == pytest.approx(2.0)


def test_every_request_says_who_it_is(connect: Connect) -> None:
    cluster, api = connect(in_turn(FOUND))
    cluster.get(REF)
    asked: Asked = api.asked[-1]
    assert asked.headers["authorization"] == "Bearer a-token-nobody-may-see"
    assert asked.headers["user-agent"] == "pytest-modelrt"
