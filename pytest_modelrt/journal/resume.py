"""What a case was tested with, as a key, and the verdicts that later runs may carry over for the same key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_modelrt.journal.files import JournalError, atomic_write
from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.journal.results import Result
from pytest_modelrt.plan.model import Case

FINAL = (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
"""A retest without a change would say the same; errors and cases that were not run say nothing."""
TABLE = "resume.json"
_ORDER_ONLY = ("index", "phase")
"""Fields of a plan row that decide when a case runs, not what is tested."""


def case_key(case: Case, manifests: Mapping[str, str], platform: str, test: str) -> str:
    """Key of what is tested: 16 hexadecimal digits, the same wherever the config tree lies.

    Args:
        case: the plan row; its place in the plan does not count.
        manifests: kind -> text of the model, runtime and service as they stand in the files; the runtime's names the
            image.
        platform: what serves the model, with its version.
        test: the test function, without parameters.
    """
    row = {name: value for name, value in asdict(case).items() if name not in _ORDER_ONLY}
    told = [row, dict(sorted(manifests.items())), platform, test]
    text = json.dumps(told, ensure_ascii=True, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Carried:
    """A final verdict of an earlier run."""

    case: str
    outcome: str
    run_id: str
    finished: str
    cause: str | None
    summary: str

    @property
    def text(self) -> str:
        """``passed in run 20260131-120000-abcdef on 2026-01-31``, with the cause where there is one."""
        cause = f" ({self.cause})" if self.cause else ""
        return f"{self.outcome}{cause} in run {self.run_id} on {self.finished[:10]}"


def carried_of(verdict: Verdict) -> Carried | None:
    """What a verdict of a resumed run carries over; None for any other verdict."""
    data = verdict.facts.get("carried")
    if verdict.outcome is not Outcome.CARRIED_OVER or not isinstance(data, Mapping):
        return None
    try:
        return Carried(**data)
    except TypeError:
        return None


def carried_verdict(case: Case, carried: Carried, key: str, now: str) -> Verdict:
    """The verdict of a resumed run about a case that was not run again."""
    return Verdict(
        case=case.id,
        outcome=Outcome.CARRIED_OVER,
        started=now,
        finished=now,
        summary=f"carried over: {carried.text}",
        facts={"carried": asdict(carried)},
        inputs=key,
    )


def write_table(run_dir: Path, results: Iterable[Result]) -> int:
    """Write down for the workers which keys have a final verdict, the latest of each; returns how many."""
    table = {
        result.verdict.inputs: asdict(_carried(result))
        for result in results
        if result.verdict.inputs and result.verdict.outcome in FINAL
    }
    atomic_write(run_dir / TABLE, json.dumps(table, indent=1).encode())
    return len(table)


def read_table(run_dir: Path) -> dict[str, Carried]:
    """Key -> verdict that may be carried over; empty when the run does not resume.

    Raises:
        JournalError: the file is damaged.
    """
    path = run_dir / TABLE
    try:
        data: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
        return {key: Carried(**entry) for key, entry in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise JournalError(f"{path}: cannot be read: {error}") from None


def _carried(result: Result) -> Carried:
    verdict = result.verdict
    return Carried(result.case, str(verdict.outcome), result.run_id, verdict.finished, verdict.cause, verdict.summary)
