"""What a killed controller did not live to put into the results: taken over from its run's journals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_modelrt.journal.alive import alive
from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.model import Outcome, RunInfo
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.results import Result, ResultsStore, result_of, result_without_plan
from pytest_modelrt.journal.rundir import list_runs, read_info
from pytest_modelrt.journal.trace import CaseTrace
from pytest_modelrt.plan.model import Case


def dead_runs(reports: Path, besides: Path) -> list[Path]:
    """Directories of runs that never came to their end and on which nobody works any more, oldest first."""
    found = []
    for path in list_runs(reports):
        try:
            if path.name != besides.name and read_info(path).finished is None and not alive(path):
                found.append(path)
        except JournalError:
            continue
    return found


def adopt(reports: Path, store: ResultsStore, cases: Mapping[str, Case], besides: Path) -> int:
    """Add the verdicts of dead runs that the store lacks; returns how many."""
    before = len(store.attempts)
    for path in dead_runs(reports, besides):
        view = read_run(path)
        if view.info is None:
            continue
        for trace in view.traces:
            if tells(trace):
                store.add(as_result(trace, view.info, cases))
    return len(store.attempts) - before


def tells(trace: CaseTrace) -> bool:
    """Whether an attempt belongs into the results: it has a verdict of its own."""
    return trace.verdict is not None and trace.verdict.outcome is not Outcome.CARRIED_OVER


def as_result(trace: CaseTrace, info: RunInfo, cases: Mapping[str, Case]) -> Result:
    """The result of a judged attempt, with or without a plan row."""
    case = cases.get(trace.case)
    return result_of(case, trace, info) if case else result_without_plan(trace, info)
