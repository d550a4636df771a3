"""Shards of a campaign become one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.merge import merge_runs
from pytest_modelrt.journal.model import Outcome, RunInfo, Verdict
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import create_run, finish_run
from pytest_modelrt.journal.writer import JournalWriter


def run_of(reports: Path, run_id: str, case: str, speed: float = 60.0) -> Path:
    started = f"2026-01-01T00:00:0{run_id[-1]}.000Z"
    info = RunInfo(run_id, started, "somewhere", True, speed, "1", selection=(case,), workers=2)
    directory = create_run(reports, info)
    with JournalWriter(directory, "gw0") as journal:
        journal.verdict(Verdict(case, Outcome.PASSED, started, started))
    finish_run(directory, info, 0 if run_id == "shard-1" else 1)
    return directory


def test_two_shards_become_one_run(tmp_path: Path) -> None:
    one = run_of(tmp_path / "a", "shard-1", "a/one")
    run_of(tmp_path / "b", "shard-2", "b/two")
    with (one / "events-gw0.jsonl").open("ab") as file:
        file.write(b'{"cut":')
    merged = read_run(merge_runs([one, tmp_path / "b"], tmp_path / "all"))
    assert merged.info is not None
    assert (merged.info.run_id, merged.info.workers, merged.info.exit_status) == ("shard-1-merged", 4, 1)
    assert merged.info.selection == ("a/one", "b/two")
    assert merged.complete
    assert merged.torn == 0
    assert {trace.case: trace.worker for trace in merged.traces} == {"a/one": "1-gw0", "b/two": "2-gw0"}


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    places = [run_of(tmp_path, "shard-1", "a/one"), run_of(tmp_path, "shard-2", "b/two", speed=1.0)]
    with pytest.raises(JournalError, match="different kinds of cluster"):
        merge_runs(places, tmp_path / "all")
    assert not (tmp_path / "all").exists()
