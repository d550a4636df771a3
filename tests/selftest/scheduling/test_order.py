from __future__ import annotations

from statistics import median

import pytest

from benchmarks.scheduling.measure import judge
from benchmarks.scheduling.simulated import play
from benchmarks.scheduling.stock import Stay
from benchmarks.scheduling.workloads import load, workload
from pytest_modelrt.scheduling.forecast import describe, forecast, lower_bound, upcoming
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Admission
from pytest_modelrt.scheduling.order import Backlog, Order, Wait, choose
from pytest_modelrt.scheduling.sequence import reorder
from tests.selftest.scheduling.build import LIMITS, case, job, keys

SEEDS = 8


@pytest.mark.parametrize("workers", [10, 19])
@pytest.mark.parametrize(("name", "target"), [("full", 1.01), ("noxxl", 1.05), ("warm", 1.01)])
@pytest.mark.parametrize("policy", ["ours, fast", "ours, plan"])
def test_makespan_is_near_the_bound(policy: str, name: str, target: float, workers: int) -> None:
    plan, campaign = load()

    results = [play(policy, workload(name, seed, plan, campaign), workers, seed) for seed in range(SEEDS)]

    assert max(result.ratio for result in results) <= target
    assert max(result.violated for result in results) == 0
    assert max(result.avoidable for result in results) < 0.001


def test_stock_schedulers_with_a_gate_are_slower() -> None:
    plan, campaign = load()
    for policy in ("xdist load + gate", "xdist worksteal + gate", "xdist loadgroup + gate"):
        results = [play(policy, workload("noxxl", seed, plan, campaign), 10, seed) for seed in range(SEEDS)]
        assert median(result.ratio for result in results) > 1.05
        assert max(result.violated for result in results) == 0


def small() -> list[Job]:
    """A chain of big ones that decides the run, and short ones of earlier phases."""
    jobs = [job(f"v{n % 3}/one{n}", 1, 60.0 + n, 1, n % 3, n) for n in range(12)]
    jobs += [job(f"big/x{n}", 8, 600.0, 4, 9, 50 + n) for n in range(3)]
    return jobs


def started(order: Order, workers: int) -> list[str]:
    plan = forecast(small(), LIMITS, workers, order)
    return keys([span.job for span in sorted(plan.spans, key=lambda span: span.start)])


def test_chain_that_decides_the_run_starts_at_once() -> None:
    assert "big/x0" in started(Order.PLAN, 4)[:4]
    assert forecast(small(), LIMITS, 4, Order.PLAN).makespan == 1800.0


def test_fast_begins_with_a_short_case_of_each_first_vendor() -> None:
    assert set(started(Order.FAST, 4)[:3]) == {"v0/one0", "v1/one1", "v2/one2"}


def first_started(order: Order, wait: Wait, workers: int = 4) -> list[str]:
    """Keys of the jobs that start at once."""
    backlog, admission = Backlog(LIMITS, order, small()), Admission(LIMITS)
    found: list[str] = []
    while len(found) < workers and (chosen := choose(backlog, admission, workers, wait)) is not None:
        backlog.start(chosen)
        admission.take(chosen.key, chosen.gpus)
        found.append(chosen.key)
    return found


def test_what_is_downloaded_goes_first() -> None:
    here = {"v1/one4", "v2/one2", "big/x2"}
    waits = first_started(Order.PLAN, lambda job: 0.0 if job.key in here else 300.0)
    assert set(waits[:3]) == here
    assert waits[3] == started(Order.PLAN, 4)[1], "what is not there keeps the order of the plan"


def test_the_chain_begins_with_the_shortest_download() -> None:
    seconds = {"big/x0": 1600.0, "big/x1": 170.0, "big/x2": 900.0}
    waits = first_started(Order.PLAN, lambda job: seconds.get(job.key, 60.0))
    assert waits[0] == "big/x1"
    assert waits[1:] == [key for key in started(Order.PLAN, 4)[:4] if not key.startswith("big")]


def test_canaries_and_phases_of_a_strict_run_do_not_give_way_to_downloads() -> None:
    here = {"big/x2"}
    assert set(first_started(Order.FAST, lambda job: 0.0 if job.key in here else 9.0)[:3]) == {
        "v0/one0", "v1/one1", "v2/one2",
    }  # fmt: skip
    assert "big/x2" not in first_started(Order.STRICT, lambda job: 0.0 if job.key in here else 9.0)


def test_plan_keeps_vendors_together() -> None:
    vendors = [key.partition("/")[0] for key in started(Order.PLAN, 1) if not key.startswith("big")]
    assert vendors == sorted(vendors)


def test_strict_finishes_a_phase_before_the_next() -> None:
    plan = forecast(small(), LIMITS, 4, Order.STRICT)
    first_end = max(span.end for span in plan.spans if span.job.phase == 1)
    assert min(span.start for span in plan.spans if span.job.phase == 4) == first_end


def test_what_can_never_start_is_named_and_holds_nothing_up() -> None:
    plan = forecast([*small(), job("huge/x", 64)], LIMITS, 4, Order.FAST)
    assert keys(plan.impossible) == ["huge/x"]
    text = describe(plan, LIMITS)
    assert text[-2].startswith("never: huge/x asks for 64 GPUs")
    assert "predicted makespan 0:30" in text[-1]


def test_lower_bound_takes_the_worst_of_everything() -> None:
    assert lower_bound([job("a", 8, 50), job("b", 8, 50)], LIMITS, 10) == 100
    assert lower_bound([job(f"a{n}", 1, 10) for n in range(20)], LIMITS, 4) == 50
    assert lower_bound([job(f"a{n}", 1, 10) for n in range(20)], LIMITS, 40) == 20
    assert lower_bound([job("a", 1, 99), job("b", 1, 1)], LIMITS, 2) == 99
    assert lower_bound([], LIMITS, 2) == 0


def test_upcoming_is_what_starts_next() -> None:
    assert keys(upcoming(small(), LIMITS, 4, Order.PLAN, 5)) == started(Order.PLAN, 4)[:5]
    assert len(upcoming(small(), LIMITS, 4, Order.FAST, 100)) == 15


def test_order_without_workers() -> None:
    cases = {
        one.id: one for one in (case("b", "late", 1, 2, 1), case("a", "early", 1, 1, 2), case("c", "huge", 64, 1, 3))
    }
    nodeids = ["t.py::t[c/huge]", "t.py::t[b/late]", "t.py::plain", "t.py::t[a/early]", "t.py::u[b/late]"]

    assert reorder(nodeids, cases, {}, LIMITS, Order.PLAN) == [2, 3, 1, 4, 0]
    assert reorder(["b.py::x", "a.py::y"], cases, {}, LIMITS, Order.PLAN) == [0, 1]


def test_judge_sees_violations_and_idling() -> None:
    big = [case("a", "x", 8), case("a", "y", 8)]
    stays = [Stay(big[0].id, 0, 0.0, 0.0, 10.0), Stay(big[1].id, 1, 5.0, 5.0, 15.0)]
    found = judge(stays, big, LIMITS, 2)
    assert found.violated == pytest.approx(5 / 15)

    apart = [Stay(big[0].id, 0, 0.0, 0.0, 10.0), Stay(big[1].id, 1, 5.0, 15.0, 25.0)]
    found = judge(apart, big, LIMITS, 2)
    assert found.violated == 0
    assert found.avoidable == pytest.approx(5 / 50)
    assert found.gated == pytest.approx(10 / 50)
