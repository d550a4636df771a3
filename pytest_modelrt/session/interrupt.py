"""A stopped run: SIGTERM means the same as Ctrl-C; the first one cleans up, the second one leaves at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import pytest

from pytest_modelrt.session.run import Run
from pytest_modelrt.session.target import sweep_command

STOP_SECONDS = 300.0
"""Cluster seconds a stopped run may take to clean up, once its workers are gone (they get ten real seconds)."""


class Interrupts:
    """Listens for the end of a run, in every process."""

    def __init__(self, run: Run, abandon: Callable[[], None] = lambda: None) -> None:
        """Take what ends the processes of this run when it leaves without cleaning up."""
        self._run = run
        self._abandon = abandon
        self._before: dict[int, signal._HANDLER] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Take SIGTERM over, unless somebody else already has."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._handle(signal.SIGTERM, self._terminated)

    def pytest_keyboard_interrupt(self) -> None:
        """From here on cleanup only asks for deletion; the controller's sweep does the waiting."""
        self._run.interrupted.set()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        if threading.current_thread() is threading.main_thread():
            before = signal.signal(number, handler)
            self._before.setdefault(number, before if before is not None else signal.SIG_DFL)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._run.interrupted.set()
        raise KeyboardInterrupt("SIGTERM")


class ControllerInterrupts(Interrupts):
    """The same in the process that cleans up: says what it does, and listens for the second signal."""

    def pytest_keyboard_interrupt(self) -> None:
        """Say how long it may take; the next signal ends the process."""
        self._run.interrupted.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handle(number, self._leave)
        say(
            f"stopping: nothing more starts; running cases get 10 seconds, then what this run created is removed, for "
            f"at most {STOP_SECONDS:.0f} cluster seconds; the next Ctrl-C leaves at once"
        )

    def _leave(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        command = sweep_command(self._run)
        say(f"left at once; remove what is still there with: {command}" if command else "left at once")
        self._abandon()
        sys.stdout.flush()
        os._exit(pytest.ExitCode.INTERRUPTED)


def say(text: str) -> None:
    """One line for people, now; pytest's own reporter may be in the middle of a line."""
    print(f"\nmodelrt: {text}", file=sys.stderr, flush=True)


def say_deleted(line: str) -> None:
    """What the sweep does, while nobody else writes; that leases go, too, tells nobody anything."""
    if " Lease " not in line:
        print(f"modelrt: {line}", file=sys.stderr, flush=True)
