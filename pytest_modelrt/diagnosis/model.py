"""Evidence, causes and findings: the vocabulary of diagnosis. All data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_modelrt.journal.model import EvidenceLine, Outcome, Stage

Manifest = Mapping[str, object]
"""A Kubernetes object as a plain dictionary."""


class Owner(StrEnum):
    """Whose turn it is."""

    CONFIG = "config"
    RUNTIME = "runtime image"
    PLATFORM = "OME"
    GATEWAY = "MaaS gateway"
    CLUSTER = "cluster"
    HUB = "hub"
    SUITE = "suite"


class Scope(StrEnum):
    """What a cause says something about, and so what to slow down."""

    MODEL = "model"
    FAMILY = "family"
    NODE = "node"
    TIER = "tier"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of the failure taxonomy (facts: failures, part E)."""

    slug: str
    stage: Stage
    owner: Owner
    outcome: Outcome
    scope: Scope
    title: str
    hint: str
    retries: int = 0
    backoff_seconds: tuple[float, ...] = ()
    bucket: str = "Cluster"
    """Roll-up name users already have in their own tables (facts: failures, part D)."""


@dataclass(frozen=True, slots=True)
class PodSnapshot:
    """A pod as last seen, with what its containers wrote."""

    manifest: Manifest
    logs: Mapping[str, str] = field(default_factory=dict)
    """Container name -> bounded current log."""
    previous_logs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeExchange:
    """One HTTP request of a probe and what came back, both shortened and redacted."""

    method: str
    url: str
    request: str
    status: int | None
    """None: no answer."""
    response: str
    seconds: float
    """Real seconds; probes know no cluster clock."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An API answer that ended a stage."""

    code: int
    """HTTP status; 0: no answer at all."""
    reason: str
    message: str
    verb: str = ""
    resource: str = ""
    """Plural and group of what was asked for: ``clusterbasemodels.ome.io``."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known about a case at the moment a stage gave up. Collected by the stack, read by rules."""

    stage: Stage
    waited: float
    """Cluster seconds in that stage."""
    reason: str
    """Why the stage gave up, as the waiting code names it: ``deadline``, ``terminal-state``, ``api-error``, ..."""
    detail: str = ""
    model: Manifest | None = None
    runtime: Manifest | None = None
    service: Manifest | None = None
    events: tuple[Manifest, ...] = ()
    pods: tuple[PodSnapshot, ...] = ()
    deployments: tuple[Manifest, ...] = ()
    node_entries: Mapping[str, Manifest] = field(default_factory=dict)
    """Node name -> the model's entry in that node's ConfigMap (facts: OME 2.2)."""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    """Node name -> value of the model's label (facts: OME 2.3)."""
    nodes: tuple[Manifest, ...] = ()
    agent_logs: Mapping[str, str] = field(default_factory=dict)
    """Node name -> downloader log lines that name the model."""
    controller_log: str = ""
    exchanges: tuple[ProbeExchange, ...] = ()
    refusal: Refusal | None = None
    agents: tuple[Manifest, ...] = ()
    """Pods of the platform's download agents."""
    controllers: tuple[Manifest, ...] = ()
    """Pods of the platform's controller."""
    other_downloads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other models now ``Updating`` -> the nodes working on them."""
    replica_sets: tuple[Manifest, ...] = ()
    nodes_wanted: int = 1
    probe_problem: str = ""
    """Slug a probe already gave (``probes.model.ProbeResult.problem``)."""
    idle_seconds: float | None = None
    """Cluster seconds since any byte arrived on any node; None: not downloading, or not known."""
    history: tuple[tuple[str, str], ...] = ()
    """(time, what changed) of the model's and service's status, in order seen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause with the lines that prove it."""

    cause: Cause
    lines: tuple[EvidenceLine, ...]
    detail: str = ""
    hint: str = ""
    """The cause's hint made concrete; empty: use the cause's own."""
    time: str = ""
    """RFC 3339 time of its first sign; empty when the signal carries none."""
    variant: Outcome | None = None
    """Outcome of this variant of the cause (a quota instead of a policy); None: the cause's own."""

    @property
    def outcome(self) -> Outcome:
        """What is said about the case."""
        return self.cause.outcome if self.variant is None else self.variant
