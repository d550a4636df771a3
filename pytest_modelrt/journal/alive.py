"""Whether a run goes on: its controller holds a lock that the kernel frees when it dies, however it dies."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

LOCK = ".alive"


def hold(run_dir: Path) -> IO[bytes]:
    """Say that the run goes on for as long as the returned file is open."""
    file = (run_dir / LOCK).open("wb")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def alive(run_dir: Path) -> bool:
    """Whether a controller on this machine still works on the run."""
    try:
        with (run_dir / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
