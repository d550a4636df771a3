"""Rules: pure functions from evidence to findings, one module per place where signals show."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_modelrt.diagnosis.model import Evidence, Finding
from pytest_modelrt.diagnosis.rules import access, control_plane, download, engine, placement, runtime

Rules = Callable[[Evidence], Iterator[Finding]]

ALL: tuple[Rules, ...] = (
    control_plane.rules,
    download.rules,
    runtime.rules,
    placement.rules,
    access.rules,
    engine.rules,
)
"""In the order of cause and effect: a finding of an earlier module outranks one without a time of a later."""
