"""Workers, the queue, and delays; times are cluster times, with generous bounds on real ones."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from pytest_modelrt.clock import Deadline, ScaledClock
from tests.selftest.simulator.inference_sim.conftest import Running, inference_sim

SLOW = ["--max-num-seqs", "2", "--time-to-first-token", "600"]


def until(running: Running, wanted: tuple[int, int]) -> bool:
    """Whether running and waiting requests become as wanted, in time."""
    deadline = Deadline(ScaledClock(), 10)
    while (running.engine.running, running.engine.waiting) != wanted:
        if deadline.expired:
            return False
        deadline.clock.sleep(0.01)
    return True


def test_plain_requests_wait_for_a_worker() -> None:
    with inference_sim(SLOW) as running, ThreadPoolExecutor(6) as pool:
        begin = time.monotonic()
        asked = [pool.submit(running.chat, max_tokens=1) for _ in range(6)]
        assert until(running, (2, 4))
        page = running.client.get("/metrics").text
        assert 'num_requests_running{model_name="model-a"} 2' in page
        assert 'num_requests_waiting{model_name="model-a"} 4' in page
        assert [answer.result().status_code for answer in asked] == [200] * 6
        assert time.monotonic() - begin >= 1.8


def test_streams_of_v051_need_no_worker() -> None:
    with inference_sim(SLOW) as running, ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(running.chat, max_tokens=1, stream=True) for _ in range(6)]
        assert until(running, (6, 0))
        assert [answer.result().status_code for answer in asked] == [200] * 6


def test_later_generation_holds_workers_for_streams_and_refuses_when_full() -> None:
    words = ["--max-num-seqs", "1", "--time-to-first-token", "600ms", "--max-waiting-queue-length", "1"]
    with inference_sim(words, later=True) as running, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(running.chat, max_tokens=1, stream=True) for _ in range(2)]
        assert until(running, (1, 1))
        full = running.chat(max_tokens=1)
        assert full.status_code == 429
        assert full.json()["error"]["message"].startswith("Failed to enqueue request, ")
        assert [answer.result().status_code for answer in asked] == [200] * 2


def test_delays_add_up() -> None:
    """First token and nine more."""
    with inference_sim(["--time-to-first-token", "100", "--inter-token-latency", "50"]) as running:
        for stream in (False, True):
            begin = time.monotonic()
            running.chat(max_tokens=10, ignore_eos=True, stream=stream)
            assert time.monotonic() - begin >= 0.54


def test_delays_are_cluster_seconds() -> None:
    with inference_sim(["--time-to-first-token", "60000"], speed=600.0) as running:
        begin = time.monotonic()
        assert running.chat(max_tokens=1).status_code == 200
        assert 0.09 < time.monotonic() - begin < 20
