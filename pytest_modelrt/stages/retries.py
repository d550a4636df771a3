"""Which failed try of a stage is followed by another one, after how long, and what is put right before."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_never

from pytest_modelrt.clock import Clock
from pytest_modelrt.cluster.model import ClusterError
from pytest_modelrt.diagnosis.model import Evidence, Finding
from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.stacks.protocol import Ready, Retriable, Stack, StackFailure


class TryFailed(Exception):
    """One try of a stage gave up, and diagnosis named the cause."""

    def __init__(self, failure: StackFailure, evidence: Evidence, finding: Finding) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.evidence = evidence
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that is followed by another."""

    stage: Stage
    finding: Finding
    number: int
    """Of the retry, from 1."""
    backoff: float
    """Cluster seconds until it begins."""
    mended: tuple[str, ...]
    """What the next try does differently, for people."""


class Retries:
    """The retries of one case: as many per cause as the taxonomy allows, over all its stages."""

    def __init__(
        self,
        stack: Callable[[], Stack | None],
        clock: Callable[[], Clock],
        interrupted: threading.Event,
        tell: Callable[[Retry], None],
        spent: Iterable[str] = (),
    ) -> None:
        """Take what retries need.

        Args:
            stack: the case's stack; None before the cluster was reached.
            clock: the cluster's clock, once it is known.
            interrupted: ends a backoff, and forbids more tries.
            tell: called before each retry.
            spent: causes a try failed with before the case began.
        """
        self._stack = stack
        self._clock = clock
        self._interrupted = interrupted
        self._tell = tell
        self._used = Counter[str](spent)
        self._mended: tuple[str, ...] = ()

    def run(self, stage: Stage, attempt: Callable[[], Ready]) -> Ready:
        """Run ``attempt`` until it succeeds or nothing speaks for another try.

        Raises:
            TryFailed: of the last try; whatever else ``attempt`` raises.
        """
        trying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, TryFailed) and self._again(stage, error)),
            wait=lambda state: self._backoff(_failed(state)),
            sleep=self._sleep,
            stop=stop_never,
            before_sleep=lambda state: self._announce(stage, _failed(state)),
            reraise=True,
        )
        return trying(attempt)

    def _again(self, stage: Stage, failed: TryFailed) -> bool:
        """Whether there is to be another try; the way is clear for it then."""
        cause, stack = failed.finding.cause, self._stack()
        if self._interrupted.is_set():
            return False
        self._mended = ()
        try:
            if isinstance(stack, Retriable) and not self._used[cause.slug]:
                self._mended = stack.mend(cause.slug)
            if not self._mended and not self._allowed(stage, failed):
                return False
            clear = stack.reset(stage) if isinstance(stack, Retriable) else True
        except (StackFailure, ClusterError):
            return False  # the first failure tells more than this one
        self._used[cause.slug] += clear
        return clear

    def _allowed(self, stage: Stage, failed: TryFailed) -> bool:
        """A model's own fault is a verdict at once, but for odd answers: those are asked for again."""
        cause = failed.finding.cause
        if failed.finding.outcome is not Outcome.ERROR and (stage is not Stage.PROBE or _refused(failed.evidence)):
            return False
        return self._used[cause.slug] < cause.retries

    def _backoff(self, failed: TryFailed) -> float:
        steps = failed.finding.cause.backoff_seconds
        if not steps or self._mended:
            return 0.0
        return steps[min(self._used[failed.finding.cause.slug], len(steps)) - 1]

    def _sleep(self, seconds: float) -> None:
        self._clock().wait(self._interrupted, seconds)

    def _announce(self, stage: Stage, failed: TryFailed) -> None:
        self._tell(Retry(stage, failed.finding, self._used.total(), self._backoff(failed), self._mended))


def _refused(evidence: Evidence) -> bool:
    """Whether the last answer was a refusal of the request itself, which the next one would meet as well."""
    status = evidence.exchanges[-1].status if evidence.exchanges else None
    return status is not None and 400 <= status < 500 and status != 429


def _failed(state: RetryCallState) -> TryFailed:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, TryFailed):
        raise TypeError(f"only failed tries are followed by another, not {error!r}")
    return error
