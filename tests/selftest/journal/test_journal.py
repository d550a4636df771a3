from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.model import EventKind, Outcome, RunInfo, Stage, StageEvent, Verdict
from pytest_modelrt.journal.reader import JournalReader, read_run
from pytest_modelrt.journal.rundir import find_run, finish_run, list_runs, new_run_id, read_info
from pytest_modelrt.journal.writer import JournalWriter
from tests.selftest.journal.build import CASE, INFO, event, new_run, verdict


def test_records_survive_the_way_to_json_and_back() -> None:
    judged = verdict(Outcome.FAILED, warnings=("slow",), retries=2)
    assert Verdict.from_data(json.loads(json.dumps(judged.as_data()))) == judged
    assert RunInfo.from_data(json.loads(json.dumps(INFO.as_data()))) == INFO
    finished = event(EventKind.STAGE_FINISHED, stage=Stage.MODEL, seconds=1.5, data={"ok": True})
    assert StageEvent.from_data(json.loads(json.dumps(finished.as_data()))) == finished


def test_records_of_a_later_version_are_read_without_what_is_new() -> None:
    assert Verdict.from_data({**verdict().as_data(), "mood": "good"}) == verdict()


def test_a_case_is_followed_over_the_files_of_all_workers(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with JournalWriter(run, "gw0") as worker, JournalWriter(run) as controller:
        controller.record(event(EventKind.OBSERVATION, 0, data={"what": "prefetch"}))
        worker.record(event(EventKind.CASE_STARTED, 1))
        worker.record(event(EventKind.STAGE_STARTED, 2, stage=Stage.MODEL))
        reader = JournalReader(run)
        assert reader.refresh() == []
        trace = reader.view.latest[CASE]
        assert trace.current is not None
        assert trace.current.stage is Stage.MODEL
        worker.record(event(EventKind.STAGE_FINISHED, 3, stage=Stage.MODEL, seconds=60.0, data={"ok": True}))
        worker.record(event(EventKind.OBSERVATION, 4, data={"what": "request", "status": 200}))
        worker.record(event(EventKind.REPAIR, 4, data={"what": "repair", "field": "x"}))
        worker.verdict(verdict())
        controller.record(event(EventKind.BREAKER, 5, case=None, data={"state": "open"}))
        judged = reader.refresh()
    assert [trace.case for trace in judged] == [CASE]
    assert judged[0].worker == "gw0"
    assert judged[0].spans[0].seconds == 60.0
    assert judged[0].verdict == verdict()
    assert len(judged[0].exchanges) == len(judged[0].repairs) == len(judged[0].observations) == 1
    assert len(reader.view.breaker) == 1
    whole = read_run(run)
    assert len(whole.traces) == 1
    assert whole.verdicts == {CASE: verdict()}
    assert not whole.complete


def test_the_controller_judges_a_case_whose_worker_died(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with JournalWriter(run, "gw0") as worker, JournalWriter(run) as controller:
        worker.record(event(EventKind.CASE_STARTED, 1))
        worker.record(event(EventKind.STAGE_STARTED, 2, stage=Stage.SERVICE))
        controller.verdict(verdict(Outcome.ERROR, cause="suite-interrupted"))
    with JournalWriter(run, "gw2") as replacement:
        replacement.record(event(EventKind.CASE_STARTED, 20, attempt=2))
        replacement.verdict(verdict(attempt=2, finished="2026-01-31T12:00:30.000Z"))
    view = read_run(run)
    assert [trace.attempt for trace in view.traces] == [1, 2]
    assert view.traces[0].worker == "gw0"
    assert [trace.verdict.outcome for trace in view.traces if trace.verdict] == [Outcome.ERROR, Outcome.PASSED]
    assert view.verdicts[CASE].outcome is Outcome.PASSED


@pytest.mark.parametrize("tail", [b'{"time":"2026', b"\xff\xfe", b'{"time": 1}\n', b"[]\n", b"\n\n", b"null\n"])
def test_a_torn_or_foreign_line_is_passed_over(tmp_path: Path, tail: bytes) -> None:
    run = new_run(tmp_path)
    with JournalWriter(run, "gw0") as worker:
        worker.record(event(EventKind.CASE_STARTED))
    with worker.path.open("ab") as file:
        file.write(tail)
    assert len(read_run(run).traces) == 1
    with JournalWriter(run, "gw0") as again:
        again.verdict(verdict())
    assert read_run(run).verdicts == {CASE: verdict()}


def test_a_line_that_grows_later_is_read_then(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with JournalWriter(run, "gw0") as worker:
        worker.record(event(EventKind.CASE_STARTED))
    line = worker.path.read_bytes()
    worker.path.write_bytes(line[:20])
    reader = JournalReader(run)
    reader.refresh()
    assert reader.view.traces == []
    worker.path.write_bytes(line)
    reader.refresh()
    assert len(reader.view.traces) == 1
    assert reader.view.torn == 0


def test_a_verdict_that_makes_no_sense_is_torn(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with JournalWriter(run, "gw0") as worker:
        worker.record(event(EventKind.CASE_STARTED))
        worker.record(event(EventKind.VERDICT, data={"outcome": "splendid"}))
    view = read_run(run)
    assert view.torn == 1
    assert view.verdicts == {}


def test_nothing_secret_and_nothing_unencodable_reaches_the_file(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    token = "hf_" + "s3cret" * 5
    data = {
        "text": f"Authorization: Bearer {token}",
        "hf_token": token,
        "odd": "half an emoji \ud83d",
        "nan": float("nan"),
    }
    with JournalWriter(run, "gw/0 ") as worker:
        worker.record(event(EventKind.OBSERVATION, data={**data, "path": Path("/x"), "inner": {"list": [token]}}))
    text = worker.path.read_bytes()
    assert b"s3cret" not in text
    assert text.count(b"\n") == 1
    assert b"NaN" not in text
    assert read_run(run).torn == 0


def _write_forever(run: str, ready: object) -> None:
    with JournalWriter(Path(run), "gw0") as worker:
        worker.record(event(EventKind.CASE_STARTED))
        ready.set()  # type: ignore[attr-defined]
        while True:
            worker.record(event(EventKind.OBSERVATION, data={"what": "x" * 3000}))


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_forever, args=(str(run), ready))
    process.start()
    assert ready.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    view = read_run(run)
    assert view.torn == 0
    assert len(view.traces) == 1


def test_run_ids_sort_by_time_and_fit_labels() -> None:
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in ids)


def test_runs_are_found_by_id_by_its_beginning_and_the_latest(tmp_path: Path) -> None:
    first = new_run(tmp_path, run_id="b-first", started="2026-01-01T00:00:00.000Z")
    second = new_run(tmp_path, run_id="a-second", started="2026-01-02T00:00:00.000Z")
    assert list_runs(tmp_path) == [first, second]
    assert find_run(tmp_path) == second
    assert find_run(tmp_path, "b-") == first
    with pytest.raises(JournalError, match="no run 'zzz'; the latest are b-first, a-second"):
        find_run(tmp_path, "zzz")
    with pytest.raises(JournalError, match="no runs yet"):
        find_run(tmp_path / "other")
    with pytest.raises(JournalError, match="exists already"):
        new_run(tmp_path, run_id="a-second")
    (second / "run.json").write_text("{")
    with pytest.raises(JournalError, match="not a run record"):
        read_info(second)


def test_a_finished_run_says_so(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    done = finish_run(run, INFO, 1)
    assert read_info(run) == done
    assert done == replace(INFO, finished=done.finished, exit_status=1)
    assert read_run(run).complete
