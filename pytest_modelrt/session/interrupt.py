"""A stopped run: SIGTERM means the same as Ctrl-C, and cleanup is told that time is short."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytest

from pytest_modelrt.session.run import Run


class Interrupts:
    """Listens for the end of a run, in every process."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._installed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Take SIGTERM over, unless somebody else already has."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminated)
            self._installed = True

    def pytest_keyboard_interrupt(self) -> None:
        """From here on cleanup only asks for deletion; the controller's sweep does the waiting."""
        self._run.interrupted.set()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give SIGTERM back."""
        if self._installed:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._run.interrupted.set()
        raise KeyboardInterrupt("SIGTERM")
