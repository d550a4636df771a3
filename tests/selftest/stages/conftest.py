"""Shared by the tests of stages."""

from __future__ import annotations

from pytest_modelrt.journal.model import RunInfo


def run_info(*selection: str) -> RunInfo:
    return RunInfo(
        run_id="test-run",
        started="2026-01-31T12:00:00.000Z",
        cluster="none",
        simulated=True,
        speed=1000,
        version="0",
        selection=selection,
    )
