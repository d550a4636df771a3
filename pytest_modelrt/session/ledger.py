"""The controller's account of cases: which were selected, started and judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.diagnosis.model import Scope
from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.stages.verdict import interrupted


@dataclass(slots=True)
class Ledger:
    """Grows while the run goes on."""

    cases: Mapping[str, Case]
    """All cases of the plan by id."""
    selected: tuple[str, ...] = ()
    """Ids of the selected cases, in plan order."""
    started: dict[str, str] = field(default_factory=dict)
    """Case id -> when its test was handed out."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def select(self, nodeids: Iterable[str]) -> bool:
        """Note the selection; returns whether any case is in it."""
        found = {case.id for nodeid in nodeids if (case := case_of(nodeid, self.cases))}
        self.selected = tuple(case_id for case_id in self.cases if case_id in found)
        return bool(self.selected)

    def start(self, nodeid: str) -> None:
        """A test was handed out."""
        case = case_of(nodeid, self.cases)
        if case is not None:
            self.started.setdefault(case.id, rfc3339(utc_now()))

    def lost(self, nodeid: str, worker: str) -> Verdict | None:
        """The verdict about a case whose worker died; None when the test is no case, or was judged before."""
        case = case_of(nodeid, self.cases)
        if case is None or case.id in self.verdicts:
            return None
        return self._stopped(case.id, f"worker {worker} died while running it")

    def refused(self, nodeid: str, why: str) -> Verdict | None:
        """The verdict about a case the scheduler never handed out; None when the test is no case, or was handed out."""
        case = case_of(nodeid, self.cases)
        if case is None or case.id in self.started or case.id in self.verdicts:
            return None
        return _not_run(case.id, why)

    def unjudged(self, known: Mapping[str, Verdict]) -> list[Verdict]:
        """Verdicts about cases that were started and never came back: the journal's, else that they were stopped."""
        missing = [case_id for case_id in self.started if case_id not in self.verdicts]
        return [known.get(case_id) or self._stopped(case_id, "the run was stopped while it ran") for case_id in missing]

    def left_out(self, why: str) -> list[Verdict]:
        """Verdicts about selected cases that were never handed out and about which nothing was said."""
        return [_not_run(case_id, why) for case_id in self.never_started if case_id not in self.verdicts]

    @property
    def never_started(self) -> list[str]:
        """Selected cases that were never handed out."""
        return [case_id for case_id in self.selected if case_id not in self.started]

    @property
    def cluster_failed(self) -> bool:
        """Whether the cluster, not the models, failed: no case came to a verdict about its model."""
        judged = self.verdicts.values()
        if any(verdict.outcome in (Outcome.PASSED, Outcome.FAILED) for verdict in judged):
            return False
        blocked = (CAUSES.get(verdict.cause or "") for verdict in judged if verdict.outcome is Outcome.ERROR)
        return any(cause and cause.scope is Scope.CAMPAIGN and cause.slug != "suite-interrupted" for cause in blocked)

    def _stopped(self, case_id: str, summary: str) -> Verdict:
        now = rfc3339(utc_now())
        return interrupted(summary=summary, case=case_id, started=self.started.get(case_id, now), finished=now)


def _not_run(case_id: str, why: str) -> Verdict:
    now = rfc3339(utc_now())
    return Verdict(case=case_id, outcome=Outcome.NOT_RUN, started=now, finished=now, owner="suite", summary=why)
