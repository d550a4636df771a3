"""The campaign: every model of the plan deploys, answers and goes away again."""

from __future__ import annotations

from collections.abc import Callable

from pytest_modelrt.probes.model import ProbeResult


def test_model(probe: Callable[[], ProbeResult]) -> None:
    assert probe().answer
