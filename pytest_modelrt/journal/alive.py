"""Whether a run goes on: its controller holds a lock that the kernel frees when it dies, however it dies.

So does every process that writes a journal, on its own file: workers outlive a killed controller by some seconds, and
may still come to a verdict.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.journal.writer import PREFIX, SUFFIX

LOCK = ".alive"
LOOK_SECONDS = 0.2


def hold(run_dir: Path) -> IO[bytes]:
    """Say that the run goes on for as long as the returned file is open."""
    file = (run_dir / LOCK).open("wb")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def alive(run_dir: Path) -> bool:
    """Whether a controller on this machine still works on the run."""
    return _is_held(run_dir / LOCK, fcntl.LOCK_SH)


def await_writers(run_dir: Path, seconds: float, besides: Path | None = None) -> bool:
    """Wait (real seconds at most) until no process of the run writes any more; whether that came true.

    ``besides``: a journal that does not count, the caller's own.
    """
    clock = ScaledClock()
    deadline = Deadline(clock, seconds)
    while any(path != besides and _is_held(path, fcntl.LOCK_EX) for path in run_dir.glob(f"{PREFIX}*{SUFFIX}")):
        if deadline.expired:
            return False
        clock.sleep(LOOK_SECONDS)
    return True


def _is_held(path: Path, kind: int) -> bool:
    """Whether somebody's lock on the file forbids one of this kind."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
