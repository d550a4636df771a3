"""What the campaign page shows, worked out from the journal: offsets, holdings, rankings. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.trace import CLOCK, CaseTrace, RunView
from pytest_modelrt.plan.model import Campaign, Case

OUTCOMES: tuple[tuple[str, str, str], ...] = (
    ("passed", "✓", "passed"),
    ("failed", "✗", "failed"),
    ("error", "!", "no verdict"),
    ("skipped", "↷", "skipped"),
    ("not-run", "·", "not run"),
    ("carried-over", "↺", "carried over"),
    ("running", "…", "running"),
    ("waiting", "○", "waiting"),
)
"""Class, symbol and words of every state a case can be in."""


@lru_cache(maxsize=65536)
def epoch(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; 0 when it is none."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """From wall-clock times of a run to cluster seconds since its start."""

    start: float
    speed: float
    end: float
    """Cluster seconds from the start to the last event; at least 1."""
    real: float
    """Real seconds between the two."""
    moments: tuple[float, ...] = ()
    """Times at which the run said how much cluster time had passed; none where both clocks are the same."""
    passed: tuple[float, ...] = ()
    """What it said."""

    @classmethod
    def of(cls, view: RunView) -> Scale:
        """The scale of a run."""
        info = view.info
        times = [epoch(trace.started) for trace in view.traces]
        start = min([epoch(info.started)] if info else times, default=0.0)
        speed = info.speed if info else 1.0
        last = max([epoch(view.last_time), epoch(info.finished or "") if info else 0.0])
        told = _told(view)
        scale = cls(start, speed, 0.0, last - start, tuple(told), tuple(told.values()))
        return replace(scale, end=max(1.0, scale._passed(last)))

    def at(self, text: str | None) -> float:
        """Cluster seconds of a time; the end for none."""
        return self.end if text is None else max(0.0, self._passed(epoch(text)))

    def settled(self, text: str | None) -> bool:
        """Whether nothing the run may still say changes what ``at`` says of a time."""
        return not self.moments or (text is not None and epoch(text) <= self.moments[-1])

    def _passed(self, moment: float) -> float:
        place = bisect_right(self.moments, moment)
        if not self.moments:
            return (moment - self.start) * self.speed
        if place == 0:
            return 0.0
        since, before = self.moments[place - 1], self.passed[place - 1]
        if place == len(self.moments):
            return before + (moment - since) * self.speed
        return before + (moment - since) * (self.passed[place] - before) / (self.moments[place] - since)


def _told(view: RunView) -> dict[float, float]:
    """Moment -> cluster seconds passed, both growing."""
    told: dict[float, float] = {}
    latest = -1.0
    for note in view.notes:
        passed, moment = note.data.get("seconds"), epoch(note.time)
        if note.data.get("what") == CLOCK and isinstance(passed, int | float) and moment > latest:
            told[moment], latest = float(passed), moment
    return told


@dataclass(frozen=True, slots=True)
class Holding:
    """Something held from one moment to another, in cluster seconds."""

    start: float
    end: float
    amount: int


def steps(holdings: Iterable[Holding]) -> list[tuple[float, int]]:
    """How much is held, as a staircase: moment and amount from then on."""
    changes: Counter[float] = Counter()
    for holding in holdings:
        changes[holding.start] += holding.amount
        changes[holding.end] -= holding.amount
    level, stairs = 0, [(0.0, 0)]
    for moment in sorted(changes):
        level += changes[moment]
        stairs.append((moment, level))
    return stairs


def peak(stairs: Sequence[tuple[float, int]]) -> int:
    """The highest step."""
    return max((level for _, level in stairs), default=0)


def gpu_holdings(
    view: RunView, cases: Mapping[str, Case], campaign: Campaign, scale: Scale
) -> dict[str, list[Holding]]:
    """Tier -> GPUs held: from the service's creation until its pods are gone."""
    found: dict[str, list[Holding]] = {tier.name: [] for tier in campaign.tiers}
    for trace in view.traces:
        case = cases.get(trace.case)
        span = next((span for span in trace.spans if span.stage is Stage.SERVICE), None)
        if case is None or span is None:
            continue
        found[campaign.tier_of(case.gpus).name].append(
            Holding(scale.at(span.started), scale.at(trace.finished), case.gpus)
        )
    return found


def slot_holdings(
    view: RunView, cases: Mapping[str, Case], campaign: Campaign, scale: Scale
) -> dict[str, list[Holding]]:
    """Tier -> cases running: from start to verdict."""
    found: dict[str, list[Holding]] = {tier.name: [] for tier in campaign.tiers}
    for trace in view.traces:
        case = cases.get(trace.case)
        if case is not None:
            found[campaign.tier_of(case.gpus).name].append(
                Holding(scale.at(trace.started), scale.at(trace.finished), 1)
            )
    return found


@dataclass(frozen=True, slots=True)
class Slow:
    """A bar of a ranking."""

    case: str
    seconds: float
    share: float
    """Of the slowest, 0 to 1."""


def slowest(view: RunView, stage: Stage, count: int = 8) -> list[Slow]:
    """The cases that spent longest in a stage; of a download also what passed before the case began."""
    took = [
        (trace.verdict.stages[stage] + (trace.hidden_download if stage is Stage.MODEL else 0.0), trace.case)
        for trace in view.latest.values()
        if trace.verdict is not None and stage in trace.verdict.stages
    ]
    top = sorted(took, key=lambda item: (-item[0], item[1]))[:count]
    return [Slow(case, seconds, seconds / top[0][0] if top[0][0] else 0.0) for seconds, case in top]


@dataclass(slots=True)
class Node:
    """What happened on one node."""

    name: str
    cases: int = 0
    failed: int = 0
    causes: Counter[str] | None = None

    @property
    def said(self) -> str:
        """Causes of what did not pass here."""
        return ", ".join(f"{slug} ({count})" for slug, count in (self.causes or Counter()).most_common(3))


def nodes(view: RunView) -> list[Node]:
    """Every node that ran an engine, the one with most trouble first."""
    found: dict[str, Node] = {}
    for trace in view.traces:
        names = {
            str(event.data["node"])
            for event in trace.observations
            if event.data.get("what") == "pod-scheduled" and event.data.get("component") == "engine"
        }
        for name in names:
            node = found.setdefault(name, Node(name, causes=Counter()))
            node.cases += 1
            verdict = trace.verdict
            if verdict is not None and verdict.outcome in (Outcome.FAILED, Outcome.ERROR) and node.causes is not None:
                node.failed += 1
                node.causes[verdict.cause or "unknown"] += 1
    return sorted(found.values(), key=lambda node: (-node.failed, -node.cases, node.name))


@dataclass(frozen=True, slots=True)
class Opening:
    """The circuit breaker let nothing but canaries through; cluster seconds."""

    start: float
    end: float
    why: str
    last: bool
    """It was open when the run ended, or still is."""


def openings(view: RunView, scale: Scale) -> list[Opening]:
    """From every opening of the breaker to its closing."""
    found: list[Opening] = []
    opened: float | None = None
    why = ""
    for event in view.breaker:
        is_open = str(event.data.get("state", "")) not in ("closed", "")
        if is_open and opened is None:
            opened, why = scale.at(event.time), str(event.data.get("cause") or event.data.get("reason") or "")
        elif not is_open and opened is not None:
            found.append(Opening(opened, scale.at(event.time), why, last=False))
            opened = None
    if opened is not None:
        found.append(Opening(opened, scale.end, why, last=True))
    return found


def state(trace: CaseTrace | None) -> str:
    """Class of a case's state."""
    if trace is None:
        return "waiting"
    return str(trace.verdict.outcome) if trace.verdict else "running"


def gpu_hours(holdings: Mapping[str, Sequence[Holding]]) -> float:
    """GPU-hours of cluster time."""
    return sum((item.end - item.start) * item.amount for found in holdings.values() for item in found) / 3600


def gpu_text(held: Mapping[str, Sequence[Holding]], budget: int, scale: Scale) -> str:
    """The GPUs a run held, in one sentence."""
    hours = gpu_hours(held)
    used = 100 * hours * 3600 / (budget * scale.end) if budget else 0.0
    top = peak(steps(item for found in held.values() for item in found))
    return f"At most {top} of {budget} GPUs at once; {hours:.1f} GPU-hours, {used:.0f} % of the budget."


def span_text(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
