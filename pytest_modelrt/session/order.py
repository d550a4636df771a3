"""What a run is expected to take, from earlier runs where there are any: the same for order, dry run and scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.results import ResultsStore
from pytest_modelrt.plan.model import Campaign
from pytest_modelrt.scheduling.estimates import download_seconds, estimate
from pytest_modelrt.scheduling.forecast import Forecast, forecast
from pytest_modelrt.scheduling.history import past_of
from pytest_modelrt.scheduling.jobs import case_of, make_jobs, without_hopeless
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order
from pytest_modelrt.scheduling.placement import Machine, place
from pytest_modelrt.scheduling.prefetch import AGENT_WORKERS
from pytest_modelrt.scheduling.sequence import reorder
from pytest_modelrt.session.capacity import Capacity
from pytest_modelrt.session.run import Run
from pytest_modelrt.session.target import on_simulator


@dataclass(frozen=True, slots=True)
class Expected:
    """Cluster seconds by case id."""

    held: Mapping[str, float]
    """How long a case holds its GPUs: with its download, unless downloads run ahead."""
    download: Mapping[str, float]
    known: frozenset[str]
    """Cases with history."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A run before it begins."""

    plan: Forecast
    makespan: float
    """Cluster seconds: the plan's, or what the agents need for all downloads if that is more."""
    bound: float
    """No order can be faster, if every estimate holds."""
    known: int
    """Cases whose estimate comes from earlier runs."""
    cases: int
    placed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Case id -> the nodes that shall download its model; whoever is not in it uses all."""

    def as_data(self) -> dict[str, float]:
        """For the journal: cluster seconds and counts."""
        seconds = {"makespan": round(self.makespan, 1), "bound": round(self.bound, 1)}
        return {**seconds, "known": self.known, "cases": self.cases}


def expected(run: Run, *, ahead: bool) -> Expected:
    """Estimates for every case of the plan.

    Args:
        run: names the reports directory whose results are history.
        ahead: downloads run ahead of their cases.

    Raises:
        pytest.UsageError: the history cannot be read.
    """
    try:
        attempts = ResultsStore.peek(run.reports).attempts
    except JournalError as error:
        raise pytest.UsageError(str(error)) from None
    past = past_of(attempts, run.plan.by_id(), simulated=on_simulator(run))
    seconds = {case_id: times.rest + (0.0 if ahead else times.download) for case_id, times in past.items()}
    download = {case.id: download_seconds(case) for case in run.plan.cases}
    download |= {case_id: times.download for case_id, times in past.items()}
    return Expected(estimate(run.plan.cases, run.campaign, seconds, ahead=ahead), download, frozenset(past))


def predict(
    nodeids: Sequence[str],
    run: Run,
    workers: int,
    capacity: Capacity | None = None,
    weights: Mapping[str, int] | None = None,
) -> Prediction:
    """The run as it will go when every estimate holds.

    Args:
        nodeids: of the selected tests.
        run: names plan, settings and history.
        workers: processes that run tests.
        capacity: what the cluster offers; what the campaign says it has when left out.
        weights: node id -> GPUs, from markers.
    """
    campaign, cases = run.campaign, run.plan.by_id()
    ahead = run.window(workers) > 0
    times = expected(run, ahead=ahead)
    limits = Limits.of(campaign, capacity.total if capacity is not None else None)
    jobs = without_hopeless(make_jobs(nodeids, cases, times.held, weights or {}, workers), limits, cases)
    plan = forecast(jobs, limits, workers, Order(run.settings.order))
    selected = {case.id for nodeid in nodeids if (case := case_of(nodeid, cases))}
    machines = capacity.machines if capacity is not None else _planned(campaign)
    placed: dict[str, tuple[str, ...]] = {}
    if ahead and len(selected) > 1 and (copies := copies_of(campaign)):
        order = dict.fromkeys(span.job.case for span in plan.spans if span.job.case is not None and span.job.gpus)
        placed = place([cases[case_id] for case_id in order], machines, limits, copies=copies, seconds=times.download)
    agents = _agents_seconds(selected, times.download, placed, machines) if ahead else 0.0
    return Prediction(
        plan, max(plan.makespan, agents), max(plan.bound, agents), len(selected & times.known), len(selected), placed
    )


def copies_of(campaign: Campaign) -> int:
    """How many nodes download a model; 0: all. One more than wanted, so that one bad node holds nobody up."""
    if campaign.download_nodes == 0:
        return 0
    return max(campaign.download_nodes or campaign.nodes_wanted + 1, campaign.nodes_wanted)


def _planned(campaign: Campaign) -> tuple[Machine, ...]:
    hardware = campaign.hardware
    return tuple(Machine(f"node-{number:03}", hardware.gpus_per_node) for number in range(hardware.nodes))


def _agents_seconds(
    selected: Iterable[str],
    seconds: Mapping[str, float],
    placed: Mapping[str, Sequence[str]],
    machines: Sequence[Machine],
) -> float:
    """What the busiest node's agent needs for its downloads."""
    names = [machine.name for machine in machines] or [""]
    load = dict.fromkeys(names, 0.0)
    for case_id in selected:
        for name in placed.get(case_id, names):
            load[name] += seconds[case_id]
    return max(load.values()) / AGENT_WORKERS


def in_order(items: list[pytest.Item], run: Run) -> list[pytest.Item]:
    """``items`` as one worker would run them; what can never start is run last, and says why."""
    places = reorder(
        [item.nodeid for item in items],
        run.plan.by_id(),
        expected(run, ahead=run.window(1) > 0).held,
        Limits.of(run.campaign),
        Order(run.settings.order),
    )
    return [items[place] for place in places]
