"""What a run is expected to take, from earlier runs where there are any: the same for order, dry run and scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.results import ResultsStore
from pytest_modelrt.scheduling.estimates import download_seconds, estimate
from pytest_modelrt.scheduling.forecast import Forecast, forecast
from pytest_modelrt.scheduling.history import past_of
from pytest_modelrt.scheduling.jobs import case_of, make_jobs
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order
from pytest_modelrt.scheduling.prefetch import AGENT_WORKERS
from pytest_modelrt.scheduling.sequence import reorder
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


def predict(nodeids: list[str], run: Run, workers: int) -> Prediction:
    """The run as it will go when every estimate holds."""
    ahead = run.window(workers) > 0
    times, cases = expected(run, ahead=ahead), run.plan.by_id()
    jobs = make_jobs(nodeids, cases, times.held, {}, workers)
    plan = forecast(jobs, Limits.of(run.campaign), workers, Order(run.settings.order))
    selected = {case.id for nodeid in nodeids if (case := case_of(nodeid, cases))}
    agents = sum(times.download[case_id] for case_id in selected) / AGENT_WORKERS if ahead else 0.0
    return Prediction(
        plan, max(plan.makespan, agents), max(plan.bound, agents), len(selected & times.known), len(selected)
    )


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
