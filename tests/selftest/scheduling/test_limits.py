from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelrt.plan.model import Tier
from pytest_modelrt.scheduling.limits import Admission, Limits
from tests.selftest.scheduling.build import CAMPAIGN, LIMITS


@pytest.mark.parametrize(
    ("gpus", "tier"), [(1, "gpu1"), (2, "gpu2"), (3, "gpu2"), (4, "gpu4"), (8, "gpu8"), (32, "gpu8")]
)
def test_tier_by_gpus(gpus: int, tier: str) -> None:
    found = LIMITS.tier_of(gpus)
    assert found is not None
    assert found.name == tier


@pytest.mark.parametrize(
    ("limits", "gpus", "words"),
    [
        (LIMITS, 33, "one test may hold at most 32"),
        (replace(LIMITS, gpu_budget=16), 32, "budget of the run is 16"),
        (Limits((Tier("only", 1, 1, 4),), 112, 32), 2, "no tier"),
        (Limits((Tier("closed", 1, None, 0),), 112, 32), 1, "limit 0"),
    ],
)
def test_what_can_never_fit_says_why(limits: Limits, gpus: int, words: str) -> None:
    assert words in str(limits.refusal(gpus))
    assert limits.refusal(0) is None


def test_slot_and_gpus_are_held_until_released() -> None:
    admission = Admission(LIMITS)

    admission.take("a", 8)
    admission.quarantine("a")

    assert not admission.fits("b", 8)
    with pytest.raises(ValueError, match="does not fit"):
        admission.take("b", 8)
    admission.release("a")
    assert admission.fits("b", 8)
    assert admission.gpus_held == 0


def test_one_case_never_runs_twice_at_once() -> None:
    admission = Admission(LIMITS)
    admission.take("a", 1)
    assert not admission.fits("a", 1)


def test_auto_is_what_the_limits_let_run() -> None:
    assert Limits.of(CAMPAIGN).most_at_once == 19
    assert Limits.of(replace(CAMPAIGN, gpu_budget=8)).most_at_once == 8
    assert Limits.of(replace(CAMPAIGN, gpu_budget=0)).most_at_once == 1
