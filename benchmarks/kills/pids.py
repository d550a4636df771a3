"""A pytest plugin (``-p benchmarks.kills.pids``): every process of a run writes down its id, to be killed by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = "MODELRT_KILLS_PIDS"


def pytest_sessionstart(session: pytest.Session) -> None:
    worker = getattr(session.config, "workerinput", {}).get("workerid", "controller")
    path = Path(os.environ[FOLDER]) / f"{worker}.pid"
    unfinished = path.with_suffix(".new")
    unfinished.write_text(str(os.getpid()), encoding="ascii")
    unfinished.rename(path)  # whoever reads it finds a number or nothing


def pytest_unconfigure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", {}).get("workerid", "controller")
    (Path(os.environ[FOLDER]) / f"{worker}.pid").unlink(missing_ok=True)
