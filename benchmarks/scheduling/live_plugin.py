"""The plugin of the real runs: either our scheduler, or xdist's with a gate of lock files in the test."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.scheduling import worker, xdist
from pytest_modelrt.scheduling.limits import Limits

from . import workloads

SETTINGS = json.loads(Path(os.environ["MODELRT_BENCHMARK"]).read_text(encoding="utf-8"))
FOLDER = Path(SETTINGS["folder"])
OURS = SETTINGS["policy"] == "ours"
POLL_SECONDS = 0.005
_cpu: list[float] = []


@cache
def _loaded() -> tuple[Any, Any, Limits]:
    plan, campaign = workloads.load()
    return plan, campaign, Limits.of(campaign)


def pytest_configure(config: pytest.Config) -> None:
    if OURS:
        side = worker.worker_plugin() if hasattr(config, "workerinput") else xdist.controller_plugin()
        config.pluginmanager.register(side)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if not OURS:
        return None
    plan, campaign, _ = _loaded()
    return xdist.make_scheduler(
        config,
        log,
        plan=plan,
        campaign=campaign,
        order="fast",
        estimates=SETTINGS["estimates"],
        on_first_collection=None,
        cleanup=lambda case_id: None,
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Any) -> None:
    _cpu[:] = [time.process_time()]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _cpu:
        spent = time.process_time() - _cpu[0]
        (FOLDER / "controller.json").write_text(json.dumps({"seconds": spent}), encoding="utf-8")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan, _, limits = _loaded()
    dealt: dict[str, int] = {}
    parameters = []
    for case in plan.cases:
        if case.id in SETTINGS["seconds"]:
            tier = limits.tier_of(case.gpus)
            assert tier is not None
            place = dealt[tier.name] = dealt.get(tier.name, -1) + 1
            group = pytest.mark.xdist_group(f"{tier.name}-{place % tier.limit}")
            parameters.append(pytest.param(case.id, id=case.id, marks=group))
    metafunc.parametrize("case_id", parameters)


@pytest.fixture
def stay(case_id: str) -> Callable[[], None]:
    """Occupies the case's GPUs for as long as it takes, and writes down when."""

    def occupy() -> None:
        asked = time.monotonic()
        with _gate(case_id):
            start = time.monotonic()
            threading.Event().wait(SETTINGS["seconds"][case_id])
            end = time.monotonic()
        name = os.environ["PYTEST_XDIST_WORKER"]
        record = {"case": case_id, "worker": name, "asked": asked, "start": start, "end": end}
        with (FOLDER / f"stays-{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    return occupy


@contextmanager
def _gate(case_id: str) -> Iterator[None]:
    """One lock file per slot of the tier, polled; nothing for our own runs."""
    if OURS:
        yield
        return
    plan, _, limits = _loaded()
    tier = limits.tier_of(plan.by_id()[case_id].gpus)
    assert tier is not None
    while True:
        for slot in range(tier.limit):
            with (FOLDER / f"{tier.name}-{slot}.lock").open("w", encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
        threading.Event().wait(POLL_SECONDS)
