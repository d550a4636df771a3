from __future__ import annotations

import threading

from pytest_modelrt.scheduling.books import SENDS, Books
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Occupancy
from pytest_modelrt.scheduling.order import Order
from pytest_modelrt.scheduling.quarantine import Quarantine
from pytest_modelrt.scheduling.status import state_of, status_line
from tests.selftest.scheduling.build import LIMITS, job


def books(*jobs: Job, workers: int = 1) -> Books[int]:
    made: Books[int] = Books(LIMITS, Order.PLAN, jobs)
    for worker in range(workers):
        made.add_worker(worker)
    return made


def test_a_test_that_never_started_is_not_blamed_until_it_was_sent_too_often() -> None:
    run = books(job("a/x"), workers=0)
    for worker in range(SENDS):
        run.add_worker(worker)
        assert len(run.assign()) == 1
        loss = run.lost(worker, crashed=True)
        assert loss.blamed == (None if worker < SENDS - 1 else "t.py::test[a/x]")
        assert loss.quarantined is None
    assert run.finished


def test_tests_behind_a_crash_run_later_and_wait_for_the_cleanup() -> None:
    run = books(Job("a/x", ("one", "two"), 8, 1.0, "a/x", 1), workers=2)
    run.assign()
    run.begun("one")

    loss = run.lost(0, crashed=True)

    assert loss.blamed == "one"
    assert loss.quarantined is not None
    assert run.assign() == []
    run.cleaned("a/x")
    assert [found.tests for _, found in run.assign()] == [("two",)]


def test_leak_is_no_dead_end_while_others_fit() -> None:
    run = books(job("a/x", 8), job("b/y", 8, 1.0), job("c/z", 1), workers=2)
    run.assign()
    run.begun("t.py::test[a/x]")
    run.lost(0, crashed=True)
    assert run.dead_end() is None
    run.leaked("a/x", "stays")
    run.done(1, "t.py::test[c/z]")
    assert "stays" in str(run.dead_end())
    assert [given.key for given in run.give_up()] == ["b/y"]
    assert run.finished


def test_late_cleanup_frees_a_leaked_slot() -> None:
    run = books(job("a/x", 8), job("b/y", 8, 1.0), workers=2)
    run.assign()
    run.begun("t.py::test[a/x]")
    run.lost(0, crashed=True)
    run.leaked("a/x", "slow")
    run.cleaned("a/x")
    assert [found.key for _, found in run.assign()] == ["b/y"]


def test_status_line_says_what_each_tier_waits_for() -> None:
    run = books(*(job(f"a/x{n}", 8, 100.0 - n) for n in range(3)), job("b/one"), workers=2)
    run.assign()
    assert status_line(state_of(run)) == "gpu8: 1/1 running x0, 2 waiting; gpu1: 1/10"
    run.begun("t.py::test[a/x0]")
    run.lost(next(worker for worker, found in run.running.items() if found.key == "a/x0"), crashed=True)
    assert status_line(state_of(run)) == "gpu8: 1/1 cleaning up x0, 2 waiting; gpu1: 1/10"


def test_status_line_says_why_free_slots_are_not_used() -> None:
    run = books(*(job(f"a/x{n}", 8) for n in range(2)), *(job(f"b/y{n}") for n in range(4)), workers=3)
    run.admission.others = Occupancy({"gpu8": 1}, gpus=8, keys=frozenset({"b/y3"}))
    run.assign()
    line = "gpu8: 0/1 2 waiting for slots that other runs hold; gpu1: 3/10 1 waiting for a worker"
    assert status_line(state_of(run)) == line
    run.add_worker(9)
    assert status_line(state_of(run)).endswith("1 waiting for models that other runs test")
    run.admission.others = Occupancy({}, gpus=LIMITS.gpu_budget - 3)
    assert status_line(state_of(run)) == "gpu8: 0/1 2 waiting for GPUs; gpu1: 3/10 1 waiting for GPUs"


def test_cleanup_that_never_ends_has_a_result() -> None:
    woken, end = threading.Event(), threading.Event()
    quarantine = Quarantine(lambda case: _ignore(end.wait(30)), seconds=0.01)

    quarantine.begin("a/x", woken.set)

    assert woken.wait(30)
    assert list(quarantine.results()) == [("a/x", "no end after 0 s")]
    woken.clear()
    end.set()
    assert woken.wait(30)
    assert list(quarantine.results()) == [("a/x", None)]


def _ignore(_: object) -> None:
    return None
