from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.journal.files import JournalError, locked, write_if_changed
from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.results import BACKUP, Result, ResultsStore, result_of
from pytest_modelrt.journal.trace import CaseTrace
from tests.selftest.journal.build import CASE, INFO, verdict
from tests.selftest.probes.cases import BASE


def result(run: str = "run-1", outcome: Outcome = Outcome.PASSED, **changes: Any) -> Result:
    trace = CaseTrace(CASE, 1, "gw3", "", verdict=verdict(outcome, **changes), exchanges=[{"status": 200}])
    return result_of(BASE, trace, replace(INFO, run_id=run))


def test_results_accumulate_over_runs(tmp_path: Path) -> None:
    store = ResultsStore.open(tmp_path)
    assert store.of(BASE) is None
    store.add(result("run-1", Outcome.FAILED))
    store.add(result("run-2", Outcome.FAILED, started="2026-02-01T00:00:00.000Z"))
    store.add(result("run-2", Outcome.FAILED, started="2026-02-01T00:00:00.000Z"))
    again = ResultsStore.open(tmp_path)
    assert [item.run_id for item in again.attempts] == ["run-1", "run-2"]
    history = again.by_key["meta/llama-3-1-8b-instruct@meta-llama/Llama-3.1-8B-Instruct"]
    assert history.latest.run_id == "run-2"
    assert history.first_seen.run_id == "run-1"
    assert again.of(BASE) == result("run-2", Outcome.FAILED, started="2026-02-01T00:00:00.000Z")
    assert history.latest.runner == "pytest-modelrt 0.1.0 (gw3)"


def test_being_left_out_says_nothing_new(tmp_path: Path) -> None:
    store = ResultsStore.open(tmp_path)
    store.add(result("run-1"))
    store.add(result("run-2", Outcome.NOT_RUN))
    latest = store.of(BASE)
    assert latest is not None
    assert latest.run_id == "run-1"
    assert len(store.attempts) == 2


def test_two_controllers_see_each_other(tmp_path: Path) -> None:
    one, two = ResultsStore.open(tmp_path), ResultsStore.open(tmp_path)
    one.add(result("run-1"))
    two.add(result("run-2", started="2026-02-01T00:00:00.000Z"))
    with one.exclusively():
        assert [item.run_id for item in one.attempts] == ["run-1", "run-2"]


def _add_many(reports: str, name: str) -> None:
    store = ResultsStore.open(Path(reports))
    for number in range(25):
        store.add(result(f"{name}-{number}", started=f"2026-02-01T00:00:{number:02d}.000Z"))


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(str(tmp_path), name)) for name in ("a", "b", "c")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(ResultsStore.open(tmp_path).attempts) == 75


@pytest.mark.parametrize("keep", [5, 40, -1, -200])
def test_a_torn_end_is_cut_off(tmp_path: Path, keep: int) -> None:
    store = ResultsStore.open(tmp_path)
    store.add(result("run-1"))
    store.path.write_bytes(store.path.read_bytes()[:keep])
    after = ResultsStore.open(tmp_path)
    assert after.attempts == []
    after.add(result("run-2"))
    assert [item.run_id for item in ResultsStore.open(tmp_path).attempts] == ["run-2"]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda data: b"hello\n" + data, "line 1: not a results file"),
        (lambda data: data.replace(b'"schema":1', b'"schema":9', 1), "line 1: written by another version"),
        (lambda data: data + b"{}\n", "line 3: not a result"),
        (lambda data: data + b"oops\n", "line 3: not a result"),
        (lambda data: data.replace(b'"passed"', b'"splendid"'), "line 2: not a result"),
    ],
)
def test_a_corrupt_store_is_named_and_not_lost(tmp_path: Path, break_it: Any, words: str) -> None:
    store = ResultsStore.open(tmp_path)
    store.add(result("run-1"))
    ResultsStore.open(tmp_path)
    broken = break_it(store.path.read_bytes())
    store.path.write_bytes(broken)
    with pytest.raises(JournalError) as raised:
        ResultsStore.open(tmp_path)
    assert words in str(raised.value)
    assert str(store.path) in str(raised.value)
    assert store.path.read_bytes() == broken
    backup = store.path.with_name(BACKUP)
    backup.replace(store.path)
    assert len(ResultsStore.open(tmp_path).attempts) == 1


def test_a_store_that_was_deleted_in_mid_run_starts_anew(tmp_path: Path) -> None:
    store = ResultsStore.open(tmp_path)
    store.add(result("run-1"))
    store.path.unlink()
    store.add(result("run-2"))
    assert [item.run_id for item in ResultsStore.open(tmp_path).attempts] == ["run-2"]


def test_a_large_store_loses_details_of_old_attempts_only(tmp_path: Path) -> None:
    store = ResultsStore.open(tmp_path)
    store.add(result("run-1"))
    store.add(result("run-2", started="2026-02-01T00:00:00.000Z"))
    ResultsStore.open(tmp_path, compact_bytes=10)
    store.add(result("run-3", started="2026-03-01T00:00:00.000Z"))  # by a controller that had the old file open
    lines = [json.loads(line) for line in store.path.read_text().splitlines()[1:]]
    assert [len(line["exchanges"]) for line in lines] == [0, 1, 1]
    assert [item.run_id for item in store.attempts] == ["run-1", "run-2", "run-3"]


def test_a_lock_that_is_held_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with locked(lock), pytest.raises(JournalError, match=str(lock)), locked(lock, wait=0.05):
        pass


def test_an_unchanged_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    assert write_if_changed(path, b"x")
    before = path.stat().st_mtime_ns
    assert not write_if_changed(path, b"x")
    assert path.stat().st_mtime_ns == before
    assert write_if_changed(path, b"y")
    assert [item.name for item in tmp_path.iterdir()] == ["page.md"]
