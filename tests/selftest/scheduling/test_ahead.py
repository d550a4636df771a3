"""Which models are fetched ahead, and how the time of a download is split between waiting and hiding."""

from __future__ import annotations

from dataclasses import replace

from pytest_modelrt.scheduling.ahead import LOOK_EVERY, AheadBooks
from pytest_modelrt.scheduling.jobs import make_jobs
from pytest_modelrt.scheduling.order import Order
from pytest_modelrt.scheduling.prefetch import DownloadTime, Room
from tests.selftest.scheduling.build import LIMITS, case

CASES = {item.id: item for number in range(6) for item in [case("a", f"m{number}", index=number)]}


def books(window: int = 4, downloads: int = 2, **changes: bool) -> AheadBooks:
    cases = {key: replace(item, **changes) for key, item in CASES.items()}  # type: ignore[arg-type]
    made = AheadBooks(cases, LIMITS, Order.PLAN, 2, Room(window, downloads))
    made.wait(make_jobs([f"t.py::t[{key}]" for key in cases], cases, dict.fromkeys(cases, 60.0), {}, 2))
    return made


def asked(made: AheadBooks, *, paused: bool = False) -> list[str]:
    return [item.name for item in made.next(paused=paused)]


def test_as_many_as_the_agents_work_on_in_the_order_of_dispatch() -> None:
    made = books()
    assert asked(made) == ["m0", "m1"]
    made.applied("a/m0", 1.0)
    made.applied("a/m1", 1.0)
    assert asked(made) == []
    made.complete("a/m0", 5.0)
    assert asked(made) == ["m2"]


def test_the_window_ends_what_is_looked_at() -> None:
    made = books(window=1)
    made.applied("a/m0", 1.0)
    made.complete("a/m0", 5.0)
    assert asked(made) == []


def test_a_case_that_began_looks_after_itself() -> None:
    made = books()
    made.begin("a/m0", 1.0)
    made.applied("a/m0", 2.0)
    assert asked(made) == ["m1", "m2"]
    assert not made.copies["a/m0"].ahead


def test_what_could_not_be_applied_is_not_tried_again() -> None:
    made = books()
    made.bar("a/m0")
    assert asked(made) == ["m1", "m2"]


def test_nothing_while_the_breaker_is_open_and_nothing_gated_without_a_token() -> None:
    assert asked(books(), paused=True) == []
    gated = books(gated=True)
    assert asked(gated) == []
    gated.token = True
    assert asked(gated) == ["m0", "m1"]


def test_time_that_passed_before_the_case_began_is_hidden() -> None:
    made = books()
    made.applied("a/m0", 10.0)
    made.begin("a/m0", 70.0)
    assert made.times() == {}
    made.complete("a/m0", 100.0)
    assert made.times() == {"a/m0": DownloadTime(waited=30.0, hidden=60.0)}
    assert made.times() == {}


def test_a_case_that_downloads_for_itself_hides_nothing() -> None:
    made = books()
    made.begin("a/m0", 5.0)
    made.applied("a/m0", 10.0)
    made.complete("a/m0", 100.0)
    assert made.times() == {}


def test_the_order_follows_what_starts_and_what_comes_back() -> None:
    made = books(window=6)
    jobs = make_jobs([f"t.py::t[{key}]" for key in CASES], CASES, dict.fromkeys(CASES, 60.0), {}, 2)
    made.wait(jobs[:2])
    assert asked(made) == ["m0", "m1"]
    made.wait(jobs[3:])
    assert asked(made) == ["m3", "m4"], "m0 and m1 no longer wait, and m3 is new"
    made.wait(jobs[4:])
    assert asked(made) == ["m4", "m5"]
    made.wait([])
    assert asked(made) == []


def test_a_download_that_stands_still_is_seen_at_the_next_looks() -> None:
    made = books()
    made.applied("a/m0", 0.0)
    assert made.next_look(0.0) == LOOK_EVERY
    assert made.due(LOOK_EVERY - 1) == []
    assert made.due(LOOK_EVERY) == ["a/m0"]
    assert made.next_look(LOOK_EVERY) == LOOK_EVERY, "also when the look failed"
    assert made.looked("a/m0", None, 0.0, 150.0) is None, "no node has begun: it queues"
    assert made.looked("a/m0", ("n1", 0), 300.0, 300.0) is None, "the first look at it"
    assert made.looked("a/m0", ("n1", 0), 300.0, 450.0) is None
    assert made.looked("a/m0", ("n1", 0), 300.0, 600.0) is None, "nothing else moves: it is not this download"
    made.applied("a/m1", 600.0)
    made.complete("a/m1", 610.0)
    assert made.looked("a/m0", ("n1", 0), 300.0, 620.0) == 320.0
    assert made.looked("a/m0", ("n1", 5), 300.0, 750.0) is None, "it moved"


def test_nobody_looks_at_downloads_that_are_over_or_whose_case_runs() -> None:
    made = books()
    for number, key in enumerate(("a/m0", "a/m1", "a/m2")):
        made.applied(key, float(number))
    made.complete("a/m0", 5.0)
    made.begin("a/m1", 6.0)
    assert made.due(1000.0) == ["a/m2"]
    assert made.looked("a/m1", "x", 0.0, 1000.0) is None
    made.gone("a/m2")
    assert made.next_look(1000.0) is None
    assert made.ready == {"a/m0"}
