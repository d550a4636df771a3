"""Counters: fixed windows, on a clock of the test's own."""

from __future__ import annotations

import pytest

from pytest_modelrt.simulator.gateway.limits import Counter, CounterKey, Counters, window_seconds
from tests.selftest.simulator.gateway.clock import ManualClock

ROUTE = "llm/model-a-route"


def counter(user: str = "free-user", most: int = 5, window: float = 120.0, route: str = ROUTE) -> Counter:
    return Counter(CounterKey(route, "limits/free#0", (user,)), most, window, ("auth.identity.userid",))


def test_five_pass_then_none_until_the_window_ends() -> None:
    clock = ManualClock()
    counters = Counters(clock)
    assert [counters.check_and_count([counter()]) for _ in range(7)] == [True] * 5 + [False] * 2
    clock.pass_(119.9)
    assert not counters.check_and_count([counter()])
    clock.pass_(0.2)
    assert [counters.check_and_count([counter()]) for _ in range(6)] == [True] * 5 + [False]


def test_a_window_begins_with_its_first_hit_and_refusals_do_not_extend_it() -> None:
    clock = ManualClock()
    counters = Counters(clock)
    clock.pass_(500)
    for _ in range(5):
        counters.check_and_count([counter()])
    clock.pass_(100)
    assert not counters.check_and_count([counter()])
    clock.pass_(20)
    assert counters.check_and_count([counter()])
    assert counters.used(counter().key) == 1


def test_users_and_routes_have_budgets_of_their_own() -> None:
    counters = Counters(ManualClock())
    for _ in range(5):
        assert counters.check_and_count([counter()])
    assert not counters.check_and_count([counter()])
    assert counters.check_and_count([counter(user="premium-user")])
    assert counters.check_and_count([counter(route="llm/model-b-route")])


def test_tokens_are_checked_as_one_and_charged_in_full() -> None:
    """99 used lets the next through whatever it will use; the overshoot is remembered."""
    clock = ManualClock()
    counters = Counters(clock)
    tokens = counter(most=100, window=60)
    counters.add([tokens], 99)
    assert counters.check([tokens])
    counters.add([tokens], 61)
    assert counters.used(tokens.key) == 160
    assert not counters.check([tokens])
    clock.pass_(60)
    assert counters.check([tokens])


def test_one_limit_exceeded_counts_nowhere() -> None:
    counters = Counters(ManualClock())
    small = Counter(CounterKey(ROUTE, "limits/small#0", ("x",)), 1, 60)
    assert counters.check_and_count([counter(), small])
    assert not counters.check_and_count([counter(), small])
    assert counters.used(counter().key) == 1


def test_a_new_instance_knows_nothing() -> None:
    clock = ManualClock()
    counters = Counters(clock)
    for _ in range(6):
        counters.check_and_count([counter()])
    assert (counters.authorized, counters.limited) == ({ROUTE: 5}, {ROUTE: 1})
    assert [(left, seconds) for _counter, left, seconds in counters.current(ROUTE)] == [(0, 120.0)]
    assert Counters(clock).check_and_count([counter()])


@pytest.mark.parametrize(("text", "seconds"), [("2m", 120), ("60s", 60), ("1h30m", 5400), ("500ms", 0.5)])
def test_windows(text: str, seconds: float) -> None:
    assert window_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 m", "m", "2x"])
def test_windows_that_make_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        window_seconds(text)
