"""Many at once: no error below the engine's limits, queueing above, and what the gateway lets through."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.stacks.kserve.calls import Caller, Reply
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from pytest_modelrt.stacks.kserve.waiting import wait_healthy, wait_ready
from tests.maas import expect
from tests.maas.conftest import Deploy, Note, patience

pytestmark = pytest.mark.maas

_RUNNING = re.compile(r"^vllm:num_requests_running{[^}]*} (\S+)$", re.MULTILINE)
WORKERS = 2
FIRST_TOKEN = 3.0
"""Cluster seconds; long enough to be seen on a fast simulated cluster too."""


def _at_once(count: int, caller: Caller, model: str, *, stream: bool) -> list[Reply]:
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(caller.chat, "", model, text="Hi", max_tokens=5, stream=stream) for _ in range(count)]
        return [future.result() for future in futures]


@contextmanager
def _watching(caller: Caller) -> Iterator[list[float]]:
    """What the metrics say about running requests while the block lasts."""
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            found = _RUNNING.search(caller.get("/metrics").text)
            seen.append(float(found[1]) if found else 0.0)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


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
    deadline = patience(maas)
    wait_ready(maas.cluster, model.service, deadline)
    wait_healthy(maas.cluster, model.service, deadline)
    caller = maas.direct(model)
    count = 3 * WORKERS
    began = maas.clock.monotonic()
    with _watching(caller) as running:
        replies = _at_once(count, caller, model.name, stream=False)
    assert all(number <= WORKERS for number in running)
    took = max(reply.ended for reply in replies) - began
    for reply in replies:
        expect.status(reply, 200)
    note(queue={"requests": count, "workers": WORKERS, "first_token": FIRST_TOKEN, "took": round(took, 2)})
    # no latency varies here: --time-to-first-token-std-dev is 0
    assert took >= math.ceil(count / WORKERS) * FIRST_TOKEN * 0.95
    assert min(reply.seconds for reply in replies) >= FIRST_TOKEN * 0.95
