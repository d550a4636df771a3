"""Markers: what they mean, and the settings one test may override with ``modelrt(...)``."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.options import REPAIR_POLICIES
from pytest_modelrt.plan.model import Plan

MARKER = "modelrt"
_OVERRIDABLE = {"nodes_wanted": int, "repair": str}


def register(config: pytest.Config, plan: Plan) -> None:
    """Declare every marker, so that ``--strict-markers`` knows them and ``--markers`` explains them."""
    lines = {
        f"{MARKER}(nodes_wanted=N, repair='overlay'|'write'|'off')": "settings for this test; outrank the options",
        "gpus(n)": "a test that is no case of the plan but holds n GPUs while it runs",
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
        expected = _OVERRIDABLE.get(name)
        if expected is None or marker.args:
            known = ", ".join(sorted(_OVERRIDABLE))
            raise pytest.UsageError(f"{item.nodeid}: marker {MARKER} takes {known} by name, not {name!r}")
        possible = value in REPAIR_POLICIES if name == "repair" else isinstance(value, expected) and value >= 1
        if not possible:
            raise pytest.UsageError(f"{item.nodeid}: marker {MARKER}: {name}={value!r} is not possible")
    return dict(marker.kwargs)
