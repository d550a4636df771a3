"""The process beside the controller: idle while that lives, and done with everything soon after it died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.plan.model import Plan
from pytest_modelrt.session.guard import Guard
from tests.selftest.reporting.campaign import Clockwork
from tests.selftest.reporting.conftest import CONFIG

PATIENCE = 120.0
DIES = """
import os, sys
from pathlib import Path
from pytest_modelrt.session.guard import Guard
guard = Guard(*map(Path, sys.argv[1:]))
os._exit(9)
"""


@pytest.fixture
def run(tmp_path: Path, plan: Plan) -> Clockwork:
    run = Clockwork(tmp_path, plan.cases[:4], {})
    run.write(2)
    return run


def test_a_dead_controllers_pages_are_finished_and_its_keys_removed(run: Clockwork, tmp_path: Path) -> None:
    keys = tmp_path / "simulator"
    keys.mkdir()
    (keys / "ca.key").write_text("secret")
    command = [sys.executable, "-c", DIES, str(run.directory), str(CONFIG), str(keys)]
    subprocess.run(command, check=False, capture_output=True)
    clock = ScaledClock()
    deadline = Deadline(clock, PATIENCE)
    while keys.exists():
        assert not deadline.expired
        clock.sleep(0.05)
    assert "The run was killed: 2 of 4 cases have a verdict" in (run.directory / "index.html").read_text()
    assert "| **Passed** | 2 |" in (tmp_path / "test-results-summary.md").read_text()


def test_a_run_that_ended_is_left_alone(run: Clockwork) -> None:
    before = sorted(run.directory.iterdir())
    guard = Guard(run.directory, CONFIG)
    guard.dismiss()
    guard.dismiss()
    assert sorted(run.directory.iterdir()) == before
