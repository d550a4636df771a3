"""A run at this moment, from its journal alone: tiers, running cases, downloads, breaker. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_modelrt.journal.model import EventKind, Outcome, Stage, StageEvent, Verdict
from pytest_modelrt.journal.trace import CaseTrace, RunView
from pytest_modelrt.plan.model import Campaign, Case
from pytest_modelrt.reporting.numbers import epoch

LATEST = 6
"""Cases that did not pass, shown latest first."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reader of the journal reckons with, in cluster seconds."""

    downloads: Mapping[str, float] = field(default_factory=dict)
    """Case id -> usual time of its download."""
    remaining: float | None = None
    """Until the run ends."""


@dataclass(frozen=True, slots=True)
class TierLine:
    """One tier."""

    name: str
    running: int
    limit: int
    waiting: int
    gpus: int
    """Held now."""


@dataclass(frozen=True, slots=True)
class RunningCase:
    """A case between its start and its verdict; times in cluster seconds."""

    case: str
    tier: str
    stage: str
    stage_age: float
    age: float
    doing: str


@dataclass(frozen=True, slots=True)
class Download:
    """A model on its way to the nodes."""

    case: str
    size: int
    """Bytes each node must fetch."""
    nodes_ready: int
    speed: float | None
    """Bytes per cluster second over all nodes, between the last two looks; None: not looked at twice yet."""
    eta: float | None
    """Cluster seconds, by the speed where there is one, else by what is usual; None: longer than usual."""
    ahead: bool = False
    """Its case has not begun; nobody looks at its nodes yet."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a status block shows."""

    run_id: str
    cluster: str
    speed: float
    state: str
    """``running``, ``finished`` or ``killed``."""
    elapsed: float
    """Cluster seconds since the start."""
    silent: float
    """Real seconds since the last event."""
    counts: Mapping[str, int]
    total: int
    tiers: tuple[TierLine, ...]
    gpus_held: int
    gpu_budget: int
    breaker: str
    running: tuple[RunningCase, ...]
    downloads: tuple[Download, ...]
    latest: tuple[Verdict, ...]
    remaining: float | None

    @property
    def done(self) -> int:
        """Cases with a verdict."""
        return sum(self.counts.values())


def live_state(
    view: RunView, cases: Mapping[str, Case], campaign: Campaign, *, now: float, alive: bool, expected: Expected
) -> LiveState:
    """The run at ``now`` (seconds since 1970); ``alive``: whether its controller still works on it.

    Raises:
        ValueError: the view has no run record.
    """
    info = view.info
    if info is None:
        raise ValueError("the run has no record")
    end = epoch(info.finished) if info.finished else now if alive else epoch(view.last_time or info.started)
    open_traces = [trace for trace in view.latest.values() if trace.verdict is None]
    verdicts = view.verdicts
    running = [_running(trace, cases.get(trace.case), campaign, info.speed, end) for trace in open_traces]
    tiers = _tiers(campaign, cases, info.limits, open_traces, [c for c in info.selection if c not in view.latest])
    notable = [v for v in verdicts.values() if v.outcome in (Outcome.FAILED, Outcome.ERROR)]
    return LiveState(
        run_id=info.run_id,
        cluster=info.cluster,
        speed=info.speed,
        state="finished" if info.finished else "running" if alive else "killed",
        elapsed=max(0.0, end - epoch(info.started)) * info.speed,
        silent=max(0.0, now - epoch(view.last_time or info.started)),
        counts=Counter(str(verdict.outcome) for verdict in verdicts.values()),
        total=max(len(info.selection), len(view.latest)),
        tiers=tiers,
        gpus_held=sum(tier.gpus for tier in tiers),
        gpu_budget=info.limits.get("gpu_budget", campaign.gpu_budget),
        breaker=_breaker(view.breaker),
        running=tuple(sorted(running, key=lambda item: -item.age)),
        downloads=(
            *_downloads(open_traces, cases, info.speed, end, expected),
            *_ahead(view.ahead, cases, info.speed, end, expected),
        ),
        latest=tuple(sorted(notable, key=lambda verdict: verdict.finished, reverse=True)[:LATEST]),
        remaining=expected.remaining if alive and not info.finished else None,
    )


def _running(trace: CaseTrace, case: Case | None, campaign: Campaign, speed: float, end: float) -> RunningCase:
    span = trace.current
    return RunningCase(
        case=trace.case,
        tier=campaign.tier_of(case.gpus).name if case else "-",
        stage=str(span.stage) if span else "starting" if not trace.spans else "between",
        stage_age=max(0.0, end - epoch(span.started if span else trace.started)) * speed,
        age=max(0.0, end - epoch(trace.started)) * speed,
        doing=_doing(trace),
    )


def _doing(trace: CaseTrace) -> str:
    """The last thing seen on the way of the present stage."""
    span = trace.current
    if span is None or span.stage not in (Stage.MODEL, Stage.SERVICE):
        return ""
    for event in reversed(trace.observations):
        if event.stage not in (None, span.stage) or event.time < span.started:
            break
        data = event.data
        what = data.get("what")
        if what == "nodes-ready":
            failed = f", {data.get('failed')} failed" if data.get("failed") else ""
            return f"{data.get('ready')} nodes ready{failed}"
        if what == "pod-scheduled" and data.get("component") == "engine":
            return f"engine on {data.get('node')}"
        if what == "engine-started":
            return "engine starting"
        if what == "pod-ready":
            return f"{data.get('component') or 'pod'} ready"
        if what == "restart":
            return f"{data.get('restarts')} restarts"
    return ""


def _tiers(
    campaign: Campaign,
    cases: Mapping[str, Case],
    limits: Mapping[str, int],
    open_traces: list[CaseTrace],
    waiting: list[str],
) -> tuple[TierLine, ...]:
    running: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for trace in open_traces:
        case = cases.get(trace.case)
        if case is None:
            continue
        name = campaign.tier_of(case.gpus).name
        running[name] += 1
        if any(span.stage is Stage.SERVICE for span in trace.spans):
            held[name] += case.gpus
    queued = Counter(campaign.tier_of(cases[case].gpus).name for case in waiting if case in cases)
    return tuple(
        TierLine(tier.name, running[tier.name], limits.get(tier.name, tier.limit), queued[tier.name], held[tier.name])
        for tier in campaign.tiers
    )


def _downloads(
    traces: list[CaseTrace], cases: Mapping[str, Case], speed: float, end: float, expected: Expected
) -> list[Download]:
    found = []
    for trace in traces:
        span, case = trace.current, cases.get(trace.case)
        if span is None or span.stage is not Stage.MODEL or case is None:
            continue
        age = max(0.0, end - epoch(span.started)) * speed
        rate, eta = _rate(trace, case, speed)
        if eta is None:
            usual = expected.downloads.get(trace.case)
            eta = usual - age if usual is not None and usual > age else None
        found.append(Download(trace.case, case.weights_bytes, _nodes_ready(trace), rate, eta))
    return found


def _ahead(
    traces: list[CaseTrace], cases: Mapping[str, Case], speed: float, end: float, expected: Expected
) -> list[Download]:
    found = []
    for trace in traces:
        case = cases.get(trace.case)
        if case is not None:
            age = max(0.0, end - epoch(trace.download_ahead or "")) * speed
            usual = expected.downloads.get(trace.case, 0.0)
            found.append(
                Download(trace.case, case.weights_bytes, 0, None, usual - age if usual > age else None, ahead=True)
            )
    return found


def _rate(trace: CaseTrace, case: Case, speed: float) -> tuple[float | None, float | None]:
    """Bytes per cluster second between the last two looks at the nodes, and the time left at that speed."""
    looks = [event for event in trace.observations if event.data.get("what") == "download-progress"][-2:]
    if len(looks) < 2:
        return None, None
    first, last = looks
    passed = (epoch(last.time) - epoch(first.time)) * speed
    moved = _number(last, "completed_bytes") - _number(first, "completed_bytes")
    if passed <= 0 or moved <= 0:
        return 0.0 if passed > 0 else None, None
    rate = moved / passed
    missing = case.weights_bytes * _number(last, "updating") - _number(last, "completed_bytes")
    return rate, max(0.0, missing) / rate


def _number(event: StageEvent, name: str) -> float:
    value = event.data.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _nodes_ready(trace: CaseTrace) -> int:
    for event in reversed(trace.observations):
        if event.data.get("what") == "nodes-ready":
            return int(_number(event, "ready"))
    return 0


def _breaker(events: list[StageEvent]) -> str:
    """``closed``, or the last state with its reason."""
    last = next((event for event in reversed(events) if event.kind is EventKind.BREAKER), None)
    if last is None:
        return "closed"
    said = [str(last.data[key]) for key in ("cause", "reason", "why", "text") if last.data.get(key)]
    return f"{last.data.get('state', 'open')}{': ' + said[0] if said else ''} since {last.time[11:19]} UTC"
