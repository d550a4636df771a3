"""``python -m pytest_modelrt.reporting.aftermath RUN-DIR CONFIG [DIR]``: pages of a run whose controller was killed.

Started by ``session.guard`` when it sees the controller die; at that moment the pages may be a second or two behind the
journal, and workers that outlive the controller may still come to a verdict. ``DIR``, the files of a simulated cluster
that died with the controller, is removed: it holds keys.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.journal.alive import await_writers
from pytest_modelrt.journal.model import EventKind, StageEvent
from pytest_modelrt.journal.rundir import read_info
from pytest_modelrt.journal.trace import KILLED
from pytest_modelrt.journal.writer import JournalWriter
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.reporting.pages import RunPages

WRITER = "aftermath"
WAIT_SECONDS = 120.0
"""For workers that are still at it: real seconds, xdist gives them ten."""


def finish(run_dir: Path, config: Path) -> bool:
    """Note that the run was killed, and bring all pages up to date: at once, and when its last worker is gone.

    Returns:
        False when there was nothing to do: the run came to its end.

    Raises:
        JournalError, ConfigError, OSError: something cannot be read or written.
    """
    if read_info(run_dir).finished is not None:
        return False
    with JournalWriter(run_dir, WRITER) as journal:
        journal.record(StageEvent(rfc3339(utc_now()), EventKind.OBSERVATION, data={"what": KILLED}))
        _render(run_dir, config)
        await_writers(run_dir, WAIT_SECONDS, besides=journal.path)
        _render(run_dir, config)
    return True


def _render(run_dir: Path, config: Path) -> None:
    RunPages(run_dir.parent.parent, load_plan(config), load_campaign(config), run_dir).flush()


if __name__ == "__main__":
    try:
        finish(Path(sys.argv[1]), Path(sys.argv[2]))
    finally:
        for place in sys.argv[3:]:
            shutil.rmtree(place, ignore_errors=True)
