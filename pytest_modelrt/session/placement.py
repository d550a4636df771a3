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

STALLED = "download-stuck"
"""Cause of a download that was withdrawn before its case began."""

Placement = Mapping[str, Sequence[str]]
"""Case id -> nodes. A case that is not in it downloads to all; so does one without nodes: a download ahead stood still
on those it had, and was withdrawn."""


def write_placement(run_dir: Path, placement: Placement) -> None:
    """Tell every process of the run."""
    atomic_write(run_dir / FILE, json.dumps(placement, indent=1).encode())


def nodes_of(config: pytest.Config, case: Case) -> tuple[str, ...]:
    """The nodes that are to download the model of a case; empty: all."""
    return tuple(_read(config).get(case.id, ()))


def was_withdrawn(config: pytest.Config, case: Case) -> bool:
    """Whether the first try of its download was made, and failed, ahead of the case."""
    return not _read(config).get(case.id, ("any",))


def _read(config: pytest.Config) -> Placement:
    path = config.stash[RUN].directory / FILE
    found: Placement = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
