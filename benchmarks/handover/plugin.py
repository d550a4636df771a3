"""Measures the controller's processor time, by thread, from the first case handed out to the last one that ended."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

RESULT = "MODELRT_HANDOVER"
"""Environment variable: the file to write."""


class Meter:
    """Lives in the controller only."""

    def __init__(self, result: Path) -> None:
        self._result = result
        self._before: dict[str, float] | None = None
        self._tests = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """The clock starts with the first test."""
        if self._before is None:
            self._before = spent()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Every test may be the last one."""
        self._tests += 1
        before = self._before or {}
        cost = {name: seconds - before.get(name, 0.0) for name, seconds in spent().items()}
        per_test = {name: 1000 * seconds / self._tests for name, seconds in cost.items()}
        self._result.write_text(json.dumps({"tests": self._tests, "milliseconds": per_test}), encoding="utf-8")


def spent() -> dict[str, float]:
    """Processor seconds of this process by thread; those of threads that have ended are under "ended"."""
    seconds = defaultdict[str, float](float)
    for thread in threading.enumerate():
        if thread.ident is not None:
            name = "loop" if thread is threading.main_thread() else thread.name
            seconds[name] += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    seconds["ended"] = time.process_time() - sum(seconds.values())
    return seconds


def pytest_configure(config: pytest.Config) -> None:
    """Meter the controller."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Meter(Path(os.environ[RESULT])))
