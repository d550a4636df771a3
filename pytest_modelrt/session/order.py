"""The order of a run in one process: that of the scheduler with a single worker."""

from __future__ import annotations

import pytest

from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.scheduling.estimates import estimate
from pytest_modelrt.scheduling.forecast import Forecast, forecast
from pytest_modelrt.scheduling.jobs import make_jobs
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order


def predicted(nodeids: list[str], plan: Plan, campaign: Campaign, order: Order, workers: int) -> Forecast:
    """The run as it will go when every estimate holds."""
    jobs = make_jobs(nodeids, plan.by_id(), estimate(plan.cases, campaign), {}, workers)
    return forecast(jobs, Limits.of(campaign), workers, order)


def in_order(items: list[pytest.Item], plan: Plan, campaign: Campaign, order: Order) -> list[pytest.Item]:
    """``items`` as one worker would run them; what can never start is run last, and says why."""
    run = predicted([item.nodeid for item in items], plan, campaign, order, 1)
    jobs = [*(span.job for span in run.spans), *run.impossible]
    rank = {nodeid: place for place, nodeid in enumerate(test for job in jobs for test in job.tests)}
    return sorted(items, key=lambda item: rank.get(item.nodeid, len(rank)))
