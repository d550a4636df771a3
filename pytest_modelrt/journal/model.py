"""What is written down about a run: small frozen records, JSON-able, versioned.

Durations are cluster seconds from a monotonic clock, times RFC 3339 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

SCHEMA = 1


class Stage(StrEnum):
    """The stages of a case, in order (DESIGN section 5)."""

    PREFLIGHT = "preflight"
    MODEL = "model"
    RUNTIME = "runtime"
    SERVICE = "service"
    PROBE = "probe"
    CLEANUP = "cleanup"


class Outcome(StrEnum):
    """What is said about a case at the end (DESIGN section 6)."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"
    NOT_RUN = "not-run"
    CARRIED_OVER = "carried-over"


class EventKind(StrEnum):
    """What a journal line tells."""

    RUN_STARTED = "run-started"
    RUN_FINISHED = "run-finished"
    CASE_STARTED = "case-started"
    STAGE_STARTED = "stage-started"
    STAGE_FINISHED = "stage-finished"
    OBSERVATION = "observation"
    """``data.what`` names it: nodes-ready, download-progress, pod-scheduled, request, ..."""
    REPAIR = "repair"
    RETRY = "retry"
    WARNING = "warning"
    BREAKER = "breaker"
    VERDICT = "verdict"
    """The last line of a case attempt; ``data`` is ``Verdict.as_data()``."""


@dataclass(frozen=True, slots=True)
class StageEvent:
    """One line of a journal file."""

    time: str
    kind: EventKind
    case: str | None = None
    """``vendor/name``; None for events of the run."""
    attempt: int = 1
    stage: Stage | None = None
    seconds: float | None = None
    """Cluster seconds the finished thing took."""
    data: Mapping[str, object] = field(default_factory=dict)
    worker: str = "main"
    schema: int = SCHEMA

    def as_data(self) -> dict[str, Any]:
        """JSON-able; what is empty is left out."""
        return {key: value for key, value in _plain(self).items() if value is not None and value != {}}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> StageEvent:
        """The event of ``as_data``; unknown keys of later schemas are ignored.

        Raises:
            KeyError, ValueError, TypeError: not an event.
        """
        known = _known(cls, data)
        stage = known.get("stage")
        known["kind"] = EventKind(known["kind"])
        known["stage"] = Stage(stage) if stage else None
        return cls(**known)


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One line that proves something, and where it was read."""

    source: str
    """For example ``event InferenceService/x``, ``log engine pod/x container/ome-container``."""
    text: str
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said about one attempt at a case, with the reason."""

    case: str
    outcome: Outcome
    started: str
    finished: str
    stages: Mapping[str, float] = field(default_factory=dict)
    """Cluster seconds per stage that was entered."""
    cause: str | None = None
    """Slug of ``diagnosis.causes``; None when passed."""
    stage: Stage | None = None
    """Where it ended; None when passed."""
    owner: str | None = None
    summary: str = ""
    """One line for people: the engine's own words first."""
    hint: str = ""
    evidence: tuple[EvidenceLine, ...] = ()
    warnings: tuple[str, ...] = ()
    retries: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)
    """Measured: nodes_ready, nodes_failed, endpoint, answer, latency_ms, cached, restarts, pods, ..."""
    attempt: int = 1
    inputs: str = ""
    """Key of what was tested (``journal.resume.case_key``); empty when that is not known."""

    def as_data(self) -> dict[str, Any]:
        """JSON-able."""
        return _plain(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Verdict:
        """The verdict of ``as_data``; unknown keys of later schemas are ignored.

        Raises:
            KeyError, ValueError, TypeError: not a verdict.
        """
        known = _known(cls, data)
        known["outcome"] = Outcome(known["outcome"])
        known["stage"] = Stage(known["stage"]) if known.get("stage") else None
        known["evidence"] = tuple(EvidenceLine(**_known(EvidenceLine, line)) for line in known.get("evidence", ()))
        known["warnings"] = tuple(known.get("warnings", ()))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is: written once as ``run.json`` at its start, again at its end."""

    run_id: str
    started: str
    cluster: str
    """Server and context as shown in the header; ``simulated`` says which kind."""
    simulated: bool
    speed: float
    version: str
    selection: tuple[str, ...] = ()
    """Ids of the selected cases, in plan order."""
    workers: int = 1
    finished: str | None = None
    exit_status: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    """Tier name -> cases at once; ``gpu_budget`` -> GPUs."""
    platform: str = ""
    """What serves the models, with its version; empty when the cluster does not say."""
    resumed: bool = False
    """Whether final verdicts of earlier runs are carried over."""
    schema: int = SCHEMA

    def as_data(self) -> dict[str, Any]:
        """JSON-able."""
        return _plain(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RunInfo:
        """The run of ``as_data``; unknown keys of later schemas are ignored.

        Raises:
            KeyError, ValueError, TypeError: not a run.
        """
        known = _known(cls, data)
        known["selection"] = tuple(known.get("selection", ()))
        return cls(**known)


_Record = TypeVar("_Record", StageEvent, Verdict, RunInfo, EvidenceLine)


def _plain(record: StageEvent | Verdict | RunInfo) -> dict[str, Any]:
    """A record as dictionaries, lists and plain values; mappings with enumerated keys get their words."""
    return {key: _plain_value(value) for key, value in asdict(record).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value


def _known(cls: type[_Record], data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``data`` this version knows."""
    names = {item.name for item in fields(cls)}
    return {key: value for key, value in data.items() if key in names}
