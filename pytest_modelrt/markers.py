"""Markers: what they mean, and the settings one test may override with ``modelrt(...)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_modelrt.options import REPAIR_POLICIES
from pytest_modelrt.plan.model import Plan

MARKER = "modelrt"
_POSSIBLE: dict[str, Callable[[Any], bool]] = {
    "nodes_wanted": lambda value: isinstance(value, int) and value >= 1,
    "repair": lambda value: value in REPAIR_POLICIES,
}


def register(config: pytest.Config, plan: Plan) -> None:
    """Declare every marker, so that ``--strict-markers`` knows them and ``--markers`` explains them."""
    lines = {
        f"{MARKER}(nodes_wanted=N, repair='overlay'|'write'|'off')": "settings for this test; outrank the options",
        "gpus(n)": "a test that is no case of the plan but holds n GPUs while it runs",
        "maas": "a test of model-a or model-b behind the gateway",
        "load": "a load test: it prints figures",
        "gated": "the model's files need a token and an accepted licence",
        "multinode": "one replica of the model spans several nodes",
    }
    for case in plan.cases:
        lines.setdefault(f"gpu{case.gpus}", f"a case that asks for {case.gpus} GPUs")
        for name in case.markers:
            group, _, value = name.partition("_")
            if value:
                lines.setdefault(name, f"a case whose {group} is {value.replace('_', ' ')}")
        lines.setdefault(f"phase{case.phase}", f"a case of phase {case.phase} of the plan's priority order")
    for name, text in lines.items():
        config.addinivalue_line("markers", f"{name}: {text} (pytest-modelrt)")


def overrides(item: pytest.Item) -> dict[str, Any]:
    """What ``modelrt(...)`` on this test says.

    Raises:
        pytest.UsageError: an unknown name or an impossible value.
    """
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return {}
    for name, value in marker.kwargs.items():
        if name not in _POSSIBLE:
            raise pytest.UsageError(f"{item.nodeid}: marker {MARKER} has no {name!r}, only {', '.join(_POSSIBLE)}")
        if not _POSSIBLE[name](value):
            raise pytest.UsageError(f"{item.nodeid}: marker {MARKER}: {name}={value!r} is not possible")
    if marker.args:
        raise pytest.UsageError(f"{item.nodeid}: marker {MARKER} takes its settings by name")
    return dict(marker.kwargs)
