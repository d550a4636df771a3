"""From what happened in a case to the one verdict about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.diagnosis.causes import cause as cause_named
from pytest_modelrt.journal.model import Outcome, Stage, Verdict
from pytest_modelrt.stages.ended import CaseEnded

INTERRUPTED = "suite-interrupted"
TEST_CODE = "test-code"


@dataclass(slots=True)
class Record:
    """What a case attempt gathers on its way."""

    case: str
    started: str
    attempt: int = 1
    stages: dict[Stage, float] = field(default_factory=dict)
    """Cluster seconds per stage entered."""
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    retries: int = 0
    ended: CaseEnded | None = None
    interrupted: Stage | None = None
    """The stage in which the run was stopped."""
    body: tuple[Outcome, str] | None = None
    """Outcome of the test's own code, when it was not a plain pass: an assertion, a skip, an exception."""


def compose(record: Record, finished: str) -> Verdict:
    """The verdict: the first cause wins, then an interruption, then what the test's own code said."""
    base: Mapping[str, Any] = {
        "case": record.case,
        "started": record.started,
        "finished": finished,
        "stages": {str(stage): round(seconds, 3) for stage, seconds in record.stages.items()},
        "warnings": tuple(dict.fromkeys(record.warnings)),
        "retries": record.retries,
        "facts": dict(record.facts),
        "attempt": record.attempt,
    }
    if record.ended is not None:
        cause = record.ended.finding.cause
        return Verdict(
            outcome=record.ended.finding.outcome,
            cause=cause.slug,
            stage=record.ended.stage,
            owner=str(cause.owner),
            summary=record.ended.summary,
            hint=record.ended.hint,
            evidence=record.ended.finding.lines,
            **base,
        )
    if record.interrupted is not None:
        return interrupted(stage=record.interrupted, **base)
    if record.body is not None:
        outcome, summary = record.body
        cause = cause_named(TEST_CODE)
        return Verdict(
            outcome=outcome,
            stage=Stage.PROBE,
            cause=cause.slug,
            owner=str(cause.owner),
            summary=summary,
            hint=cause.hint,
            **base,
        )
    return Verdict(outcome=Outcome.PASSED, **base)


def interrupted(*, stage: Stage | None = None, summary: str = "the run was stopped here", **base: Any) -> Verdict:
    """The verdict about a case whose run was stopped or whose worker died: none about the model."""
    cause = cause_named(INTERRUPTED)
    return Verdict(
        outcome=cause.outcome,
        cause=cause.slug,
        stage=stage or cause.stage,
        owner=str(cause.owner),
        summary=summary,
        hint=cause.hint,
        **base,
    )
