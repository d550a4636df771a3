"""The plan and the campaign settings as frozen data. Nothing here does I/O; ``plan.load`` reads the files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class ProbeKind(StrEnum):
    """Which request proves that a model answers (facts: models-notes, table of probes)."""

    CHAT = "chat"
    COMPLETION = "completion"
    VISION_CHAT = "vision-chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    REWARD = "reward"
    CLASSIFY = "classify"
    OCR = "ocr"


@dataclass(frozen=True, slots=True)
class Serving:
    """How the runtime of a case starts its engine. GPUs are those the plan asks for, not what another file says."""

    image: str
    gpus_per_node: int
    nodes: int
    """Pods of one replica: 1, or leader plus workers."""
    cpu: int
    memory: str
    """Kubernetes quantity for the container's memory request."""
    mem_fraction: float | None
    extra_args: tuple[str, ...]
    size_min: str
    size_max: str
    startup_seconds: int
    """Window of the runtime's startup probe: initial delay + failures x period."""

    @property
    def tensor_parallel(self) -> int:
        """GPUs of one replica over all its nodes."""
        return self.gpus_per_node * self.nodes


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the plan: a model with all that its test needs to know."""

    index: int
    """Place in the plan, from 1."""
    vendor: str
    name: str
    size: str
    """As the plan writes it: ``8B``, ``Small``, ``1000B+``."""
    type: str
    """As the plan writes it: ``Chat``, ``Vision+MoE``."""
    gpus: int
    gpus_open_ended: bool
    """The plan wrote ``32+``."""
    phase: int
    """1 to 4, the plan's priority order (``campaign.phases``)."""
    hub_id: str
    """Repository on the model hub; also the served model name."""
    resource_name: str
    """DNS-1123 label, unique: name of the model, service and namespace."""
    runtime_name: str
    probe: ProbeKind
    probe_input: str
    """``text`` or ``image+text``."""
    has_chat_template: bool
    reasoning: bool
    """Answers start with a reasoning block."""
    gated: bool
    storage_path: str
    architecture: str
    framework_version: str
    """Version of transformers the model was saved with."""
    model_format: str
    parameter_size: str
    """As the platform writes it: ``8.03B``, ``135M``."""
    parameters: float
    """Count of parameters."""
    weights_bytes: int
    """As published, i.e. to download."""
    gpu_weights_bytes: int
    """As loaded onto the GPUs."""
    quantization: str | None
    capabilities: tuple[str, ...]
    serving: Serving
    notes: tuple[str, ...] = ()
    preset_metadata: bool = False
    """The model file states format, framework and architecture, as OME before v0.1.5 cannot read this model's own."""

    @property
    def id(self) -> str:
        """``vendor/name``: the pytest id and the key in every journal and page."""
        return f"{self.vendor}/{self.name}"

    @property
    def gpus_text(self) -> str:
        """GPUs as the plan writes them: ``4``, ``32+``."""
        return f"{self.gpus}{'+' if self.gpus_open_ended else ''}"

    @property
    def multinode(self) -> bool:
        """Whether one replica spans several nodes."""
        return self.serving.nodes > 1

    @property
    def markers(self) -> tuple[str, ...]:
        """Names of the pytest markers of this case."""
        names = [
            f"gpu{self.gpus}",
            f"vendor_{slug(self.vendor)}",
            f"type_{slug(self.type)}",
            f"probe_{slug(self.probe)}",
            f"phase{self.phase}",
        ]
        if self.gated:
            names.append("gated")
        if self.multinode:
            names.append("multinode")
        return tuple(names)


@dataclass(frozen=True, slots=True)
class Tier:
    """A class of cases by GPUs asked, with how many may run at once."""

    name: str
    min_gpus: int
    max_gpus: int | None
    """None: no upper end."""
    limit: int


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Cluster seconds a stage may take without progress, and at most; progress extends up to the hard limit."""

    model_idle: int = 300
    model_pickup: int = 120
    model_hard: int = 3 * 3600
    reconcile: int = 90
    service_extra: int = 600
    """On top of the runtime's own startup window: scheduling and image pull."""
    probe_cold: int = 120
    probe_warm: int = 30
    pods_gone: int = 120
    namespace_gone: int = 180
    model_gone: int = 180


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the plan says the cluster has; a real cluster's nodes outrank it when they can be read."""

    nodes: int = 14
    gpus_per_node: int = 8
    gpu_memory_bytes: int = 80 * 10**9
    description: str = ""

    @property
    def gpus(self) -> int:
        """All GPUs of the cluster."""
        return self.nodes * self.gpus_per_node


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """Gives a phase to the cases of some vendors (none named: all) that ask for so many GPUs."""

    phase: int
    vendors: tuple[str, ...] = ()
    min_gpus: int = 1
    max_gpus: int | None = None

    def fits(self, vendor: str, gpus: int) -> bool:
        """Whether the rule speaks about such a case."""
        if self.vendors and vendor not in self.vendors:
            return False
        return self.min_gpus <= gpus and (self.max_gpus is None or gpus <= self.max_gpus)


@dataclass(frozen=True, slots=True)
class Campaign:
    """Settings of a run, from ``campaign.yaml``; options and ini outrank it."""

    tiers: tuple[Tier, ...]
    gpu_budget: int = 112
    gpus_per_test: int = 32
    nodes_wanted: int = 3
    nodes_minimum: int = 1
    download_nodes: int | None = None
    """With downloads ahead: nodes that download a model; 0: all of them; None: one more than wanted."""
    hardware: Hardware = field(default_factory=Hardware)
    deadlines: Deadlines = field(default_factory=Deadlines)
    reports: str = "reports"
    repair: str = "overlay"
    """``overlay``, ``write`` or ``off``."""
    phases: tuple[PhaseRule, ...] = ()
    """The plan's priority order; the first rule that fits a case gives its phase."""

    def tier_of(self, gpus: int) -> Tier:
        """The tier a case asking for ``gpus`` belongs to.

        Raises:
            LookupError: no tier covers that number.
        """
        for tier in self.tiers:
            if tier.min_gpus <= gpus and (tier.max_gpus is None or gpus <= tier.max_gpus):
                return tier
        raise LookupError(f"no tier for {gpus} GPUs")


@dataclass(frozen=True, slots=True)
class Plan:
    """All cases in plan order."""

    cases: tuple[Case, ...]

    def by_id(self) -> dict[str, Case]:
        """Cases keyed by ``vendor/name``."""
        return {case.id: case for case in self.cases}


def phase_of(rules: Iterable[PhaseRule], vendor: str, gpus: int) -> int:
    """Phase of a case by the first rule that fits; 1 without any."""
    return next((rule.phase for rule in rules if rule.fits(vendor, gpus)), 1)


def slug(text: str) -> str:
    """``text`` as one lower-case word for marker names: ``Alibaba-NLP`` -> ``alibaba_nlp``."""
    return re.sub(r"[^a-z0-9]+", "_", str(text).lower()).strip("_")
