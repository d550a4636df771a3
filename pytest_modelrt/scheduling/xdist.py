"""pytest-xdist's side of scheduling: hooks of the controller and the scheduler it asks for."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from xdist.report import report_collection_diff
from xdist.scheduler import LoadScheduling, Scheduling
from xdist.workermanage import WorkerController, parse_tx_spec_config

from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.scheduling.gate import Gate
from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order, Wait
from pytest_modelrt.scheduling.status import SchedulerState
from pytest_modelrt.scheduling.tiers import Desk, Run, TierScheduling, say
from pytest_modelrt.scheduling.worker import FACTS_KEY, IDLE_KEY

FirstCollection = Callable[[list[str], Mapping[str, int | str]], None]
"""Called with node ids, and what ``gpus`` markers ask for (``worker.gpus_asked``)."""


class CaseScheduling:
    """Collects what the first workers announce, then hands over: to the tiers, or to xdist if no test is a case."""

    def __init__(
        self,
        config: pytest.Config,
        log: Any,
        run: Run,
        on_first_collection: FirstCollection | None,
        limits: Callable[[], Limits] | None = None,
    ) -> None:
        self.config = config
        self._log = log
        self._run = run
        self._on_first_collection = on_first_collection
        self._limits = limits
        self._wanted = len(parse_tx_spec_config(config))
        self._collections: dict[WorkerController, list[str] | None] = {}
        self._inner: Scheduling | None = None
        self._aborted = False

    @property
    def tiers(self) -> TierScheduling | None:
        """The scheduler of cases, once there is one."""
        return self._inner if isinstance(self._inner, TierScheduling) else None

    @property
    def nodes(self) -> list[WorkerController]:
        """Workers that are alive."""
        return list(self._collections) if self._inner is None else self._inner.nodes

    @property
    def collection_is_completed(self) -> bool:
        """Whether all workers of the start have collected."""
        if self._inner is not None:
            return bool(self._inner.collection_is_completed)
        return self._wanted > 0 and len(self._announced()) >= self._wanted

    @property
    def has_pending(self) -> bool:
        """Whether scheduling has begun."""
        return self._inner is not None and bool(self._inner.has_pending)

    @property
    def tests_finished(self) -> bool:
        """Whether nothing waits and nothing runs."""
        if self._inner is not None:
            return bool(self._inner.tests_finished)
        return self._aborted or self._wanted == 0

    def add_node(self, node: WorkerController) -> None:
        """A worker is there, and collects."""
        if self._inner is not None:
            self._inner.add_node(node)
        else:
            self._collections[node] = None

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """A worker has collected."""
        if self._inner is not None:
            self._inner.add_node_collection(node, collection)
        else:
            self._collections[node] = list(collection)

    def schedule(self) -> None:
        """Start, or make use of a replacement."""
        if self._inner is None and not self._aborted:
            self._begin()
        if self._inner is not None:
            self._inner.schedule()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A worker finished an item."""
        if self._inner is not None:
            self._inner.mark_test_complete(node, item_index, duration)

    def mark_test_pending(self, item: str) -> None:
        """A test is to be run again."""
        if self._inner is not None:
            self._inner.mark_test_pending(item)

    def remove_pending_tests_from_node(self, node: WorkerController, indices: Sequence[int]) -> None:
        """Answer to a steal: only xdist's own schedulers steal."""
        if self._inner is not None:
            self._inner.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone; returns the test to blame, if any."""
        if self._inner is not None:
            blamed: str | None = self._inner.remove_node(node)
            return blamed
        del self._collections[node]
        if hasattr(node, "workeroutput"):
            # It left by itself and nobody replaces it: the others must not wait for its collection.
            self._wanted -= 1
            if self.collection_is_completed:
                self.schedule()
        return None

    def _announced(self) -> dict[WorkerController, list[str]]:
        return {node: ids for node, ids in self._collections.items() if ids is not None}

    def _begin(self) -> None:
        announced = self._announced()
        first, reference = next(iter(announced.items()))
        for node, ids in announced.items():
            if sorted(ids) != sorted(reference):
                self._aborted = True
                text = report_collection_diff(reference, ids, first.gateway.id, node.gateway.id)
                report = pytest.CollectReport(node.gateway.id, "failed", text, [])
                self.config.hook.pytest_collectreport(report=report)
        if self._aborted:
            return
        weights = read_weights(first)
        if self._on_first_collection is not None:
            self._on_first_collection(reference, weights)
        if self._limits is not None:
            self._run = replace(self._run, limits=self._limits())
        if weights or any(case_of(nodeid, self._run.cases) for nodeid in reference):
            self._inner = TierScheduling(self.config, self._run, reference, weights, len(announced))
        else:
            self._inner = _stock(self.config, self._log)
        for node, collected in self._collections.items():
            self._inner.add_node(node)
            if collected is not None:
                self._inner.add_node_collection(node, collected)


def _stock(config: pytest.Config, log: Any) -> Scheduling:
    """What ``--dist`` asks for: modules and fixtures are shared as if this plugin were not there."""
    dsession = config.pluginmanager.getplugin("dsession")
    found: Scheduling | None = dsession.pytest_xdist_make_scheduler(config, log) if dsession else None
    return found or LoadScheduling(config, log)


def read_weights(node: WorkerController) -> dict[str, int | str]:
    """What a worker wrote about its ``gpus`` markers; nothing, and a line about it, when there is no file."""
    facts = _facts(node)
    if facts is None:
        say(node.config, f"{node.gateway.id} shares no files with this process: its gpus(n) markers are not counted")
        return {}
    weights: dict[str, int | str] = facts["gpus"]
    return weights


def wants_cluster(node: WorkerController) -> bool:
    """Whether a worker collected tests that need the run's cluster, cases or not."""
    return bool((_facts(node) or {}).get("cluster"))


def _facts(node: WorkerController) -> dict[str, Any] | None:
    path = Path(str(node.workerinput.get(FACTS_KEY, "")))
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


class ControllerHooks:
    """Prepares each worker. Register one object in the controller, before the session starts."""

    def __init__(self) -> None:
        self._folder: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker that it needs an idle item, and where to write its facts."""
        if node.config.getoption("dist") == "each":
            return
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="modelrt-workers-")
        node.workerinput[IDLE_KEY] = True
        node.workerinput[FACTS_KEY] = str(Path(self._folder) / f"{node.gateway.id}.json")

    def pytest_unconfigure(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def make_scheduler(
    config: pytest.Config,
    log: Any,
    *,
    plan: Plan,
    campaign: Campaign,
    order: Order | str,
    estimates: Mapping[str, float],
    on_first_collection: FirstCollection | None,
    cleanup: Callable[[str], None],
    on_change: Callable[[SchedulerState], None] | None = None,
    desk: Desk | None = None,
    gate: Gate | None = None,
    decline: Callable[[str, str], None] | None = None,
    limits: Callable[[], Limits] | None = None,
    wait: Wait = lambda job: 0.0,
) -> CaseScheduling | None:
    """The scheduler for ``pytest_xdist_make_scheduler``; None for ``--dist each``, which is left to xdist.

    Args:
        config: of the controller.
        log: as the hook got it.
        plan: the cases.
        campaign: tiers, GPU budget and GPUs per test.
        order: the run's order.
        estimates: case id -> cluster seconds (``estimates.estimate``).
        on_first_collection: called once, before anything starts.
        cleanup: called with a case id, in a thread, when its worker crashed: removes its objects, returns when they
            are gone, raises when they stay.
        on_change: called in the controller's loop with what runs and waits, after every change.
        desk: where slots and names are asked for that other runs on the cluster use too.
        gate: asked before a case starts.
        decline: called with a test and the reason when the gate lets it never start; by default it is an error.
        limits: asked once, after ``on_first_collection``, when the cluster is known; the campaign's if left out.
        wait: cluster seconds a job would now wait for its weights, as far as is known.
    """
    if config.getoption("dist") == "each":
        return None
    run = Run(
        plan.by_id(), Limits.of(campaign), Order(order), estimates, cleanup, on_change, desk=desk, gate=gate,
        decline=decline, wait=wait,
    )  # fmt: skip
    return CaseScheduling(config, log, run, on_first_collection, limits)


def controller_plugin() -> ControllerHooks:
    """To be registered in the controller."""
    return ControllerHooks()
