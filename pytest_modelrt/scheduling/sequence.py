"""The order of a run without pytest-xdist: the same rule, one job at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.forecast import forecast
from pytest_modelrt.scheduling.jobs import case_of, make_jobs
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order


def reorder(
    nodeids: Sequence[str],
    cases: Mapping[str, Case],
    estimates: Mapping[str, float],
    limits: Limits,
    order: Order,
) -> list[int]:
    """Places of the tests in the order they should run in; the collection's own when no test is a case.

    Tests of one case in one file stay together, and so do the tests without a case: first, in their own order.

    Args:
        nodeids: as collected, each once.
        cases: case id -> case.
        estimates: case id -> cluster seconds.
        limits: of the run; a case that can never fit comes last.
        order: the run's order.
    """
    if not any(case_of(nodeid, cases) for nodeid in nodeids):
        return list(range(len(nodeids)))
    place = {nodeid: number for number, nodeid in enumerate(nodeids)}
    jobs = [
        replace(job, seconds=0.0) if job.case is None else job for job in make_jobs(nodeids, cases, estimates, {}, 1)
    ]
    plan = forecast(jobs, limits, 1, order)
    ordered = [span.job for span in plan.spans] + list(plan.impossible)
    return [place[test] for job in ordered for test in job.tests]
