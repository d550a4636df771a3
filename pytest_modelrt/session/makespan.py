"""How long the run was expected to take, how long it took, and how good any order could have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_modelrt.clock import Clock
from pytest_modelrt.journal.model import Outcome, Stage, Verdict
from pytest_modelrt.scheduling.forecast import lower_bound
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.session.order import Prediction


class Makespan:
    """Stopwatch of a run: from the first test handed out to the last one that ended."""

    def __init__(self, prediction: Prediction, clock: Clock, limits: Limits, workers: int) -> None:
        self.prediction = prediction
        self._clock = clock
        self._limits = limits
        self._workers = workers
        self._begun: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._waited: dict[str, float] = {}
        """Cluster seconds a case waited for its weights."""
        self._first = self._last = clock.monotonic()

    def begun(self, case_id: str) -> None:
        """A case was handed out."""
        now = self._clock.monotonic()
        if not self._begun:
            self._first = self._last = now
        self._begun[case_id] = now

    def ended(self, verdict: Verdict) -> None:
        """A case has its verdict."""
        if verdict.case in self._begun and verdict.outcome is not Outcome.CARRIED_OVER:
            self._last = self._clock.monotonic()
            self._taken[verdict.case] = self._last - self._begun[verdict.case]
            self._waited[verdict.case] = verdict.stages.get(Stage.MODEL, 0.0)

    @property
    def seconds(self) -> float:
        """Cluster seconds so far."""
        return self._last - self._first

    @property
    def bound(self) -> float:
        """With the durations the cases really had no order could have been faster: cluster seconds."""
        return self._least(self._taken)

    @property
    def hidden_bound(self) -> float:
        """The same, had nobody waited for a download."""
        return self._least({case: max(0.0, taken - self._waited[case]) for case, taken in self._taken.items()})

    def _least(self, seconds: Mapping[str, float]) -> float:
        jobs = [replace(span.job, seconds=seconds.get(span.job.key, 0.0)) for span in self.prediction.plan.spans]
        return lower_bound(jobs, self._limits, self._workers)

    def line(self) -> str:
        """For people; empty when nothing was run."""
        if not self._taken:
            return ""
        predicted = self.prediction
        share = (
            f" ({self.seconds / self.bound:.2f} of the least any order needs; {self.hidden_bound / 60:.0f} minutes if "
            "nobody had waited for a download)"
            if self.bound > 0
            else ""
        )
        count = f"{len(self._taken)} case{'s' * (len(self._taken) != 1)}"
        return (
            f"{count} in {self.seconds / 60:.0f} cluster minutes{share}; predicted "
            f"{predicted.makespan / 60:.0f}, {predicted.known} of {predicted.cases} estimates from earlier runs"
        )

    def as_data(self) -> dict[str, float]:
        """For the journal: cluster seconds."""
        return {
            "predicted": round(self.prediction.makespan, 1),
            "actual": round(self.seconds, 1),
            "bound": round(self.bound, 1),
            "bound_downloads_hidden": round(self.hidden_bound, 1),
        }
