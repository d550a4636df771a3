"""The breaker's promises, in cluster seconds, without any clock."""

from __future__ import annotations

from pytest_modelrt.diagnosis.breaker import Breaker, FamilyMemo, State, Transition
from pytest_modelrt.diagnosis.causes import CAUSES

QUEUED = CAUSES["download-queued"]
MODULE = CAUSES["crashloop-missing-module"]
UNSUPPORTED = CAUSES["crashloop-unsupported-architecture"]


def opened(changes: list[Transition] | None = None) -> Breaker:
    breaker = Breaker(on_change=changes.append if changes is not None else None)
    for number in range(3):
        breaker.record(f"v/m{number}", QUEUED, float(number), in_flight=7)
    return breaker


def test_three_models_with_the_same_infrastructure_cause_open_it() -> None:
    changes: list[Transition] = []
    breaker = opened(changes)
    assert breaker.state.value == State.OPEN.value
    assert not breaker.may_start(3.0, running=0)
    assert [change.state for change in changes] == [State.OPEN]
    assert "v/m0, v/m1, v/m2" in changes[0].reason


def test_causes_of_models_never_open_it() -> None:
    breaker = Breaker()
    for number in range(20):
        breaker.record(f"v/m{number}", MODULE, float(number), in_flight=7)
    assert breaker.state.value == State.CLOSED.value


def test_all_of_two_in_flight_open_it() -> None:
    breaker = Breaker()
    breaker.record("v/a", QUEUED, 0.0, in_flight=1)
    assert breaker.state.value == State.CLOSED.value
    breaker.record("v/b", QUEUED, 1.0, in_flight=0)
    assert breaker.state.value == State.OPEN.value


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = Breaker()
    breaker.record("v/a", QUEUED, 0.0, in_flight=5)
    breaker.record("v/b", QUEUED, 1.0, in_flight=5)
    breaker.record("v/c", None, 2.0, in_flight=5)
    breaker.record("v/d", QUEUED, 3.0, in_flight=5)
    assert breaker.state.value == State.CLOSED.value


def test_signs_older_than_the_window_do_not_count() -> None:
    breaker = Breaker()
    breaker.record("v/a", QUEUED, 0.0, in_flight=5)
    breaker.record("v/b", QUEUED, 10.0, in_flight=5)
    breaker.record("v/c", QUEUED, 1000.0, in_flight=5)
    assert breaker.state.value == State.CLOSED.value


def test_one_canary_at_a_time_every_five_minutes() -> None:
    breaker = opened()
    assert not breaker.may_start(200.0, running=0)
    assert breaker.next_change(200.0) == 102.0
    assert breaker.may_start(302.0, running=0)
    breaker.started("v/canary", 302.0)
    assert not breaker.may_start(900.0, running=1)


def test_canary_through_then_one_at_a_time_then_closed() -> None:
    changes: list[Transition] = []
    breaker = opened(changes)
    breaker.started("v/canary", 302.0)
    breaker.record("v/canary", None, 400.0, in_flight=0)
    assert breaker.state.value == State.HALF_OPEN.value
    assert breaker.may_start(401.0, running=0)
    assert not breaker.may_start(401.0, running=1)
    breaker.record("v/x", None, 500.0, in_flight=0)
    breaker.record("v/y", MODULE, 600.0, in_flight=0)
    assert breaker.state.value == State.CLOSED.value
    assert [change.state for change in changes] == [State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_three_failed_canaries_give_up() -> None:
    breaker = opened()
    for number in range(3):
        now = 302.0 + 300 * number
        assert breaker.may_start(now, running=0)
        breaker.started(f"v/c{number}", now)
        breaker.record(f"v/c{number}", QUEUED, now + 100, in_flight=0)
    assert breaker.state.value == State.GIVEN_UP.value
    assert not breaker.may_start(9999.0, running=0)


def test_half_an_hour_open_gives_up() -> None:
    breaker = opened()
    assert not breaker.may_start(1803.0, running=0)
    assert breaker.state.value == State.GIVEN_UP.value


def test_trouble_in_half_open_opens_it_again() -> None:
    breaker = opened()
    breaker.started("v/canary", 302.0)
    breaker.record("v/canary", None, 400.0, in_flight=0)
    breaker.record("v/x", QUEUED, 500.0, in_flight=0)
    assert breaker.state.value == State.OPEN.value
    assert not breaker.may_start(600.0, running=0)
    assert breaker.may_start(800.0, running=0)


def test_cases_already_running_when_it_opened_prove_nothing() -> None:
    breaker = opened()
    breaker.record("v/old", None, 10.0, in_flight=3)
    assert breaker.state.value == State.OPEN.value


def test_family_memo_blocks_the_same_architecture_on_the_same_image_only() -> None:
    memo = FamilyMemo()
    memo.record("v/bloom", "image:1", "BloomForCausalLM", UNSUPPORTED)
    memo.record("v/phi", "image:1", "PhiForCausalLM", MODULE)
    assert "v/bloom" in (memo.blocks("image:1", "BloomForCausalLM") or "")
    assert memo.blocks("image:2", "BloomForCausalLM") is None
    assert memo.blocks("image:1", "PhiForCausalLM") is None
