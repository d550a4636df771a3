"""Which nodes download which model: the controller writes it before the first case, and again when a choice turns out
bad; it is read where a model is applied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_modelrt.journal.files import atomic_write
from pytest_modelrt.plan.model import Case
from pytest_modelrt.session.run import RUN

FILE = "placement.json"

Placement = Mapping[str, Sequence[str]]
"""Case id -> nodes; a case that is not in it downloads to all."""


def write_placement(run_dir: Path, placement: Placement) -> None:
    """Tell every process of the run."""
    atomic_write(run_dir / FILE, json.dumps(placement, indent=1).encode())


def nodes_of(config: pytest.Config, case: Case) -> tuple[str, ...]:
    """The nodes that are to download the model of a case; empty: no choice was made, or it was taken back."""
    path = config.stash[RUN].directory / FILE
    placement: Placement = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return tuple(placement.get(case.id, ()))
