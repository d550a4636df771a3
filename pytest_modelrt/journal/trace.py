"""What the events of a run add up to, per case. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.journal.model import EventKind, RunInfo, Stage, StageEvent, Verdict


@dataclass(slots=True)
class StageSpan:
    """One stage of one attempt; ``finished`` None: still running, or the run was killed."""

    stage: Stage
    started: str
    finished: str | None = None
    seconds: float | None = None
    """Cluster seconds."""
    ok: bool | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class CaseTrace:
    """One attempt at a case as its events tell it."""

    case: str
    attempt: int
    worker: str
    started: str
    spans: list[StageSpan] = field(default_factory=list)
    observations: list[StageEvent] = field(default_factory=list)
    exchanges: list[Mapping[str, Any]] = field(default_factory=list)
    """Requests of the probe and their answers, shortened."""
    repairs: list[Mapping[str, Any]] = field(default_factory=list)
    retries: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    begun: bool = False
    """False: so far only the controller spoke about it, for example while its model is fetched ahead."""

    @property
    def finished(self) -> str | None:
        """When the verdict fell."""
        return self.verdict.finished if self.verdict else None

    @property
    def hidden_download(self) -> float:
        """Cluster seconds its download ran before the case began: nobody waited for them."""
        told = [event.data.get("hidden") for event in self.observations if event.data.get("what") == "download-ahead"]
        return sum(value for value in told if isinstance(value, int | float))

    @property
    def download_ahead(self) -> str | None:
        """Since when its model is fetched ahead; None: it is not any more."""
        said = {str(event.data.get("what")): event.time for event in self.observations}
        return None if COMPLETE in said or WITHDRAWN in said else said.get(BEGUN)

    @property
    def current(self) -> StageSpan | None:
        """The stage that runs now; None when none does."""
        if self.verdict is not None or not self.spans or self.spans[-1].finished is not None:
            return None
        return self.spans[-1]


KILLED = "controller-killed"
"""``data.what`` of the note that whoever finishes a killed run's pages leaves in its journal."""


CLOCK = "clock"
"""``data.what`` of a note of the run that says how many cluster seconds (``seconds``) have passed at its time."""
BEGUN, COMPLETE, WITHDRAWN = "download-begun", "download-complete", "download-withdrawn"
"""``data.what`` of what the controller says about a download ahead of its case."""


class RunView:
    """A run as its journal tells it; grows as events are added, in time order per worker."""

    def __init__(self, info: RunInfo | None = None) -> None:
        self.info = info
        self.traces: list[CaseTrace] = []
        """All attempts in order of their start."""
        self.breaker: list[StageEvent] = []
        self.notes: list[StageEvent] = []
        """Warnings and observations of the run itself."""
        self.torn = 0
        """Lines that were cut by a kill."""
        self.last_time = ""
        self._open: dict[str, CaseTrace] = {}
        self._latest: dict[str, CaseTrace] = {}

    @property
    def complete(self) -> bool:
        """Whether the run came to its end; False while it runs and when it was killed."""
        return self.info is not None and self.info.finished is not None

    @property
    def killed(self) -> bool:
        """Whether it is known that the run was killed; without it, a run that is not complete may go on."""
        return not self.complete and any(note.data.get("what") == KILLED for note in self.notes)

    @property
    def to_be_carried(self) -> frozenset[str]:
        """Cases that a resumed run was not going to run again, as it said when it began."""
        said = (note.data.get("carried") for note in self.notes if note.data.get("what") == "forecast")
        return frozenset(str(case) for cases in said if isinstance(cases, list) for case in cases)

    @property
    def ahead(self) -> list[CaseTrace]:
        """Cases that have not begun and whose models are on their way to the nodes."""
        return [trace for trace in self._open.values() if not trace.begun and trace.download_ahead is not None]

    @property
    def latest(self) -> Mapping[str, CaseTrace]:
        """The last attempt of every case that was begun, by case id."""
        return self._latest

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The last verdict of every case that has one."""
        found: dict[str, Verdict] = {}
        for trace in self.traces:
            if trace.verdict is not None:
                found[trace.case] = trace.verdict
        return found

    def add(self, events: Iterable[StageEvent]) -> list[CaseTrace]:
        """Take in further events; returns the attempts that came to their verdict by them."""
        judged = []
        for event in events:
            self.last_time = max(self.last_time, event.time)
            if event.case is None:
                (self.breaker if event.kind is EventKind.BREAKER else self.notes).append(event)
                continue
            trace = self._trace(event)
            try:
                _TAKE[event.kind](trace, event)
            except (KeyError, ValueError, TypeError):
                self.torn += 1
                continue
            if event.kind is EventKind.VERDICT:
                self._open.pop(event.case, None)
                judged.append(trace)
        return judged

    def _trace(self, event: StageEvent) -> CaseTrace:
        """The attempt an event belongs to; a new one when the case starts again.

        The controller may speak about a case before it starts (its model is fetched ahead), and gives the verdict of
        one whose worker died or that never started.
        """
        case = event.case or ""
        trace = self._open.get(case) or self._latest.get(case)
        starts = event.kind is EventKind.CASE_STARTED
        opens = starts or event.kind is EventKind.VERDICT
        over = trace is not None and ((opens and case not in self._open) or (starts and trace.begun))
        if trace is None or over:
            trace = CaseTrace(case, event.attempt, event.worker, event.time)
        if starts:
            trace.attempt, trace.worker, trace.started = event.attempt, event.worker, event.time
        if not trace.begun and opens:
            trace.begun = True
            self.traces.append(trace)
            self._latest[case] = trace
        if trace.verdict is None:
            self._open[case] = trace
        return trace


def _start_stage(trace: CaseTrace, event: StageEvent) -> None:
    if event.stage is not None:
        trace.spans.append(StageSpan(event.stage, event.time))


def _finish_stage(trace: CaseTrace, event: StageEvent) -> None:
    if event.stage is None:
        return
    open_spans = [span for span in trace.spans if span.stage is event.stage and span.finished is None]
    span = open_spans[-1] if open_spans else StageSpan(event.stage, event.time)
    if not open_spans:
        trace.spans.append(span)
    span.finished, span.seconds, span.data = event.time, event.seconds, event.data
    span.ok = bool(event.data.get("ok", True))


def _observe(trace: CaseTrace, event: StageEvent) -> None:
    if event.data.get("what") == "request":
        trace.exchanges.append(event.data)
    else:
        trace.observations.append(event)


def _judge(trace: CaseTrace, event: StageEvent) -> None:
    trace.verdict = Verdict.from_data(event.data)


def _nothing(trace: CaseTrace, event: StageEvent) -> None:
    """The event only says that the attempt exists."""


_TAKE: Mapping[EventKind, Callable[[CaseTrace, StageEvent], None]] = {
    EventKind.RUN_STARTED: _nothing,
    EventKind.RUN_FINISHED: _nothing,
    EventKind.CASE_STARTED: _nothing,
    EventKind.STAGE_STARTED: _start_stage,
    EventKind.STAGE_FINISHED: _finish_stage,
    EventKind.OBSERVATION: _observe,
    EventKind.REPAIR: lambda trace, event: trace.repairs.append(event.data),
    EventKind.RETRY: lambda trace, event: trace.retries.append(event.data),
    EventKind.WARNING: lambda trace, event: trace.warnings.append(str(event.data.get("text", ""))),
    EventKind.BREAKER: _nothing,
    EventKind.VERDICT: _judge,
}
