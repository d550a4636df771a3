"""What other runs on the cluster hold counts, and a job that may not start after all waits again."""

from __future__ import annotations

from pytest_modelrt.scheduling.books import Books
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits, Occupancy
from pytest_modelrt.scheduling.order import Order
from tests.selftest.scheduling.build import LIMITS

ONE = Job("a/one", ("t[a/one]",), gpus=8, seconds=60.0, case="a/one", phase=1)
TWO = Job("a/two", ("t[a/two]",), gpus=1, seconds=60.0, case="a/two", phase=1, index=2)


def books(*jobs: Job, limits: Limits = LIMITS) -> Books[str]:
    made: Books[str] = Books(limits, Order.PLAN, jobs)
    for name in ("w1", "w2"):
        made.add_worker(name)
    return made


def started(made: Books[str]) -> list[str]:
    return [job.key for _, job in made.assign()]


def test_a_slot_of_another_run_is_not_given_away() -> None:
    made = books(ONE, TWO)
    made.admission.others = Occupancy({"gpu8": 1}, gpus=8)
    assert started(made) == ["a/two"]
    made.admission.others = Occupancy()
    assert started(made) == ["a/one"]


def test_gpus_and_names_of_other_runs_count() -> None:
    made = books(ONE, TWO)
    made.admission.others = Occupancy({}, gpus=LIMITS.gpu_budget - 1)
    assert started(made) == ["a/two"]
    made = books(ONE, TWO)
    made.admission.others = Occupancy({}, keys=frozenset({"a/two"}))
    assert started(made) == ["a/one"]


def test_waiting_for_another_run_is_no_dead_end() -> None:
    made = books(ONE)
    made.admission.others = Occupancy({"gpu8": 1}, gpus=8)
    assert started(made) == []
    assert made.dead_end() is None
    made.admission.others = Occupancy()
    assert made.dead_end() is not None or started(made)


def test_a_job_that_was_put_back_starts_again() -> None:
    made = books(ONE)
    ((worker, _),) = made.assign()
    made.put_back(worker)
    assert made.admission.gpus_held == 0
    assert started(made) == ["a/one"]
