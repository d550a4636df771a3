"""Who is asked before a case starts: the circuit breaker, seen from the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_modelrt.scheduling.jobs import Job


class Gate(Protocol):
    """Every method returns at once; all are called in the controller's loop."""

    def admitted(self, waiting: Sequence[Job], running: int) -> list[Job] | None:
        """Of the jobs that wait, those that may start now, first come first served; None: whichever fits.

        Args:
            waiting: jobs that have not started.
            running: cases that run.
        """

    def barred(self, waiting: Sequence[Job]) -> list[tuple[Job, str]]:
        """Jobs that shall never start, and why."""

    def started(self, job: Job) -> None:
        """A job was let through."""

    def put_back(self, job: Job) -> None:
        """A job that was let through waits again."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, in any thread, whenever time alone may have changed the answers."""
