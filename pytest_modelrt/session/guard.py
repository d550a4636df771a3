"""A small process beside the controller: when that is killed, it has the pages finished from the journal.

It reads a pipe whose writing end only the controller holds: end-of-file without a word before it means that the
controller died. Until then it is an interpreter that has imported nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

FINISHER = "pytest_modelrt.reporting.aftermath"
_WATCH = """import os, sys
if not os.read(int(sys.argv[1]), 1):
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""
LEAVE_SECONDS = 10.0


class Guard:
    """Lives from the beginning of a run to its end."""

    def __init__(self, run_dir: Path, config: Path, remove: Path | None = None) -> None:
        """Start watching over this process; Ctrl-C and a captured output are nothing to it.

        ``remove``: a directory that this process would remove at its end, for the finisher to remove.

        Raises:
            OSError: no process can be started.
        """
        reading, self._writing = os.pipe()
        places = [str(place.absolute()) for place in (run_dir, config, remove) if place is not None]
        words = ["-I", "-S", "-c", _WATCH, str(reading), FINISHER, *places]
        nowhere = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                pass_fds=[reading],
                stdin=nowhere,
                stdout=nowhere,
                stderr=nowhere,
                start_new_session=True,
            )
        finally:
            os.close(reading)

    def dismiss(self) -> None:
        """The run has come to its end: nothing is to be done. A second time this does nothing."""
        if self._writing < 0:
            return
        with suppress(BrokenPipeError):
            os.write(self._writing, b".")
        os.close(self._writing)
        self._writing = -1
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_SECONDS)
