"""Many at once: no error below the engine's limits, queueing above, and what the gateway lets through."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.model import Object
from pytest_modelrt.stacks.kserve.calls import Caller, Reply
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from pytest_modelrt.stacks.kserve.waiting import wait_healthy, wait_ready
from tests.maas import expect
from tests.maas.conftest import Deploy, Note

pytestmark = pytest.mark.maas

WORKERS = 2
FIRST_TOKEN = 3.0
"""Cluster seconds; long enough to be seen on a fast simulated cluster too."""


def _at_once(count: int, caller: Caller, model: str, *, stream: bool) -> list[Reply]:
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(caller.chat, "", model, text="Hi", max_tokens=5, stream=stream) for _ in range(count)]
        return [future.result() for future in futures]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("count", [1, 5, 10, 20])
def test_every_request_of_a_step_is_answered(direct: Caller, note: Note, count: int, stream: bool) -> None:
    replies = _at_once(count, direct, "model-a", stream=stream)
    for reply in replies:
        expect.status(reply, 200)
    slowest = max(reply.seconds for reply in replies)
    note(step={"at_once": count, "stream": stream, "errors": 0, "slowest": round(slowest, 2)})


def test_requests_above_the_workers_wait_their_turn(maas: MaasPlatform, deploy: Deploy, note: Note) -> None:
    def slow(service: Object) -> None:
        container = service["spec"]["template"]["containers"][0]
        words = container["args"]
        words[words.index("--max-num-seqs") + 1] = str(WORKERS)
        words += ["--time-to-first-token", str(int(FIRST_TOKEN * 1000))]

    model = deploy(slow)
    speed = maas.cluster.clock.speed
    deadline = Deadline(maas.cluster.clock, 20.0 * speed if speed > 1 else 120.0)
    wait_ready(maas.cluster, model.service, deadline)
    wait_healthy(maas.cluster, model.service, deadline)
    caller = maas.direct(model)
    count = 3 * WORKERS
    began = maas.cluster.clock.monotonic()
    replies = _at_once(count, caller, model.name, stream=False)
    took = max(reply.ended for reply in replies) - began
    for reply in replies:
        expect.status(reply, 200)
    note(queue={"requests": count, "workers": WORKERS, "first_token": FIRST_TOKEN, "took": round(took, 2)})
    # no latency varies here: --time-to-first-token-std-dev is 0
    assert took >= math.ceil(count / WORKERS) * FIRST_TOKEN * 0.95
    assert min(reply.seconds for reply in replies) >= FIRST_TOKEN * 0.95
