"""Several runs as one: the shards of a campaign that CI ran as separate jobs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_modelrt.journal.files import JournalError, atomic_write
from pytest_modelrt.journal.lines import decode, encode
from pytest_modelrt.journal.model import RunInfo
from pytest_modelrt.journal.rundir import RUN_FILE, create_run, find_run, read_info
from pytest_modelrt.journal.writer import PREFIX, SUFFIX


def merge_runs(places: Sequence[Path], reports: Path) -> Path:
    """Put runs together into a new run below ``reports``; returns its directory.

    Its id is that of the earliest run with ``-merged`` behind it; workers keep their names with the number of their
    run before them, so ``gw0`` of the second becomes ``2-gw0``.

    Args:
        places: run directories, or reports directories (their latest run is meant).
        reports: where the new run goes.

    Raises:
        JournalError: no run at a place, the runs are on different kinds of cluster, or the merged run exists already.
    """
    directories = [place if (place / RUN_FILE).is_file() else find_run(place) for place in places]
    merged = create_run(reports, _together([read_info(directory) for directory in directories]))
    for number, directory in enumerate(directories, 1):
        for path in sorted(directory.glob(f"{PREFIX}*{SUFFIX}")):
            name = f"{number}-{path.name.removeprefix(PREFIX).removesuffix(SUFFIX)}"
            atomic_write(merged / f"{PREFIX}{name}{SUFFIX}", _renamed(path.read_bytes(), name))
        for part in ("evidence", "repairs"):
            if (directory / part).is_dir():
                shutil.copytree(directory / part, merged / part, dirs_exist_ok=True)
    return merged


def _together(infos: Sequence[RunInfo]) -> RunInfo:
    kinds = {(info.simulated, info.speed) for info in infos}
    if len(kinds) > 1:
        raise JournalError("these runs are on different kinds of cluster; merge those that belong together")
    first = min(infos, key=lambda info: info.started)
    ends = [info.finished for info in infos]
    return replace(
        first,
        run_id=f"{first.run_id}-merged",
        selection=tuple(dict.fromkeys(case for info in infos for case in info.selection)),
        workers=sum(info.workers for info in infos),
        finished=None if None in ends else max(end for end in ends if end is not None),
        exit_status=max((info.exit_status or 0 for info in infos), default=None),
    )


def _renamed(data: bytes, worker: str) -> bytes:
    """The whole lines of a journal, written by ``worker``."""
    events = (decode(line) for line in data[: data.rfind(b"\n") + 1].splitlines() if line.strip())
    return b"".join(encode({**event, "worker": worker}) for event in events if event is not None)
