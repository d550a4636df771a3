"""A plugin for runs under test: the scheduler as ``plugin.py`` wires it, settings from the environment."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.plan.model import Plan
from pytest_modelrt.scheduling import sequence, status, worker, xdist
from pytest_modelrt.scheduling.order import Order
from tests.selftest.scheduling import build

SETTINGS: dict[str, Any] = json.loads(os.environ.get("SCHEDULING_TEST", "{}"))
PLAN: Plan = build.plan(*[tuple(pair) for pair in SETTINGS.get("plan", [])])
CAMPAIGN = replace(build.CAMPAIGN, **SETTINGS.get("campaign", {}))
LEDGER = Path(SETTINGS.get("ledger", "ledger"))


def note(*words: object) -> None:
    """One line of the ledger; the operating system keeps lines whole."""
    with LEDGER.open("a", encoding="utf-8") as file:
        file.write(" ".join(map(str, words)) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpus(n): GPUs this test holds")
    side = worker.worker_plugin() if hasattr(config, "workerinput") else xdist.controller_plugin()
    config.pluginmanager.register(side)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case_id" in metafunc.fixturenames:
        metafunc.parametrize("case_id", [case.id for case in PLAN.cases], scope="module")


@pytest.fixture
def deployed(case_id: str) -> Iterator[str]:
    """Holds the GPUs of a case for a moment."""
    note("take", case_id)
    yield case_id
    threading.Event().wait(SETTINGS.get("seconds", 0.02))
    note("free", case_id)


def cleanup(case_id: str) -> None:
    note("cleanup", case_id)
    threading.Event().wait(SETTINGS.get("cleanup_seconds", 0.2))
    if SETTINGS.get("cleanup_fails"):
        raise RuntimeError("namespace stays")
    note("free", case_id)


class Controller:
    """The run's end, seen from the controller."""

    def __init__(self) -> None:
        self.scheduler: xdist.CaseScheduling | None = None
        self.lines: set[str] = set()

    def seen(self, state: status.SchedulerState) -> None:
        self.lines.add(status.status_line(state))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        self.scheduler = xdist.make_scheduler(
            config,
            log,
            plan=PLAN,
            campaign=CAMPAIGN,
            order=SETTINGS.get("order", "fast"),
            estimates=SETTINGS.get("estimates", {}),
            on_first_collection=lambda ids, weights: note("collected", len(ids)),
            cleanup=cleanup,
            on_change=self.seen,
        )
        return self.scheduler

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        tiers = self.scheduler.tiers if self.scheduler else None
        if tiers is not None:
            terminalreporter.write_line(f"never started: {len(tiers.never_started)}")
            terminalreporter.write_line(f"leaks: {sorted(tiers.leaks)}")


CONTROLLER = Controller()
pytest_xdist_make_scheduler = CONTROLLER.pytest_xdist_make_scheduler
pytest_terminal_summary = CONTROLLER.pytest_terminal_summary


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order = sequence.reorder(
        [item.nodeid for item in items],
        PLAN.by_id(),
        SETTINGS.get("estimates", {}),
        build.LIMITS,
        Order(SETTINGS.get("order", "fast")),
    )
    if not hasattr(config, "workerinput"):
        items[:] = [items[place] for place in order]
