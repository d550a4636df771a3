"""What a scenario file may say about models, and the file as a whole. Field names are the keys of the file;
config/scenarios/README.md explains them for people.

Absent means: as on a sunny day. All durations are cluster seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pytest_modelrt.simulator.scenario.cluster import (
    AgentRule,
    ApiRule,
    ControllerRule,
    Expectation,
    FileEdit,
    ImageRule,
    Injection,
    NodeRule,
)
from pytest_modelrt.simulator.scenario.gateway import GatewayRule

MILESTONES = (
    "start",
    "server_args",
    "load_begin",
    "load_end",
    "kv_cache",
    "graphs",
    "max_tokens",
    "http",
    "warmup",
    "ready",
)
"""Phases of an engine's start, in order (facts: failures, A13)."""


@dataclass(frozen=True, slots=True)
class DownloadRule:
    """What happens to the download of a model on the nodes."""

    SHORTHAND: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cached": {"cached": True},
        "cold": {"cached": False},
        "stuck": {"stuck_at": 0.0},
        "queued": {"queued": True},
    }

    cached: bool | None = None
    seconds: float | None = None
    bytes_per_second: float | None = None
    stuck_at: float | None = None
    """Share of the bytes (0 to 1) after which nothing moves any more."""
    queued: bool = False
    """No node ever picks it up."""
    error: str | None = None
    """Text of the downloader's error, e.g. ``head request failed after 4 attempts: HTTP 403 Forbidden``."""
    nodes_failed: int | None = None
    """Error or stall only on that many nodes (the first by name); the others go on."""
    nodes: tuple[str, ...] = ()
    """Error or stall only on nodes whose name matches one of these patterns."""
    tries: int | None = None
    """Error or stall only on the first so many tries; None: on every try."""
    parse: bool = True
    """False: config.json cannot be parsed, the node is ready without metadata."""
    stale: bool = False
    """The node's label says Ready, its ConfigMap entry stays Updating at 100 %."""
    log: tuple[str, ...] = ()
    """More lines for the downloader's log; ``{model}`` and ``{hub_id}`` are filled in."""
    stall_seconds: float | None = None
    """A stall at ``stuck_at`` ends after so long; None: never."""
    corrupt: bool = False
    """The files arrive damaged: nobody notices before an engine reads them."""
    never_cleared: bool = False
    """The agent does not get round to the deletion: label and entry stay, and so does the model's finalizer."""


@dataclass(frozen=True, slots=True)
class Crash:
    """How an engine dies."""

    log: str = ""
    """What it writes last; ``{architecture}``, ``{model_path}`` and ``{mem_fraction}`` are filled in."""
    exit_code: int = 1
    reason: str = ""
    """Reason of the terminated container; empty: ``Error``, or ``Completed`` for exit code 0."""
    at: str = "load_begin"
    """Milestone (see ``MILESTONES``) after which it dies."""
    times: int | None = None
    """Only the first so many starts crash; None: every start."""
    listening: bool = False
    """The process stays, health answers 503 for ever (facts: failures, A9)."""
    nodes: tuple[str, ...] = ()
    """Only on nodes whose name matches one of these patterns."""


@dataclass(frozen=True, slots=True)
class LogLines:
    """Lines an engine writes at a milestone."""

    at: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartupRule:
    """How an engine starts."""

    SHORTHAND: ClassVar[Mapping[str, Mapping[str, Any]]] = {"hang": {"hang": "warmup"}}

    seconds: float | None = None
    again_seconds: float | None = None
    """From the second start on, when the files lie in the page cache; None: as long as the first."""
    crash: Crash | None = None
    hang: str | None = None
    """Milestone at which the start stops for ever; health answers 503."""
    log: tuple[LogLines, ...] = ()
    served_name: str | None = None
    """Another name than the one asked for."""
    unless_args: tuple[str, ...] = ()
    """No such trouble when the command line has all of these words, e.g. ``--attention-backend triton``."""


@dataclass(frozen=True, slots=True)
class HttpRule:
    """What a path of the engine (or router) answers instead of its own."""

    path: str
    """Pattern, e.g. ``/v1/*``."""
    component: str = "engine"
    """``engine`` or ``router``."""
    status: int | None = None
    body: Any = None
    """Text, or anything JSON."""
    delay: float = 0.0
    reset: bool = False
    """Cut the connection without an answer."""
    crash: bool = False
    """The engine dies on this request (``startup.crash`` says with which words)."""
    after: int = 0
    """The first so many requests are answered as usual."""
    times: int | None = None
    """Then only so many are answered by this rule; None: all."""


@dataclass(frozen=True, slots=True)
class GenerationRule:
    """What a model says."""

    text: str | None = None
    finish_reason: str | None = None
    embedding: str | None = None
    """``nan``, ``zero`` or ``short``."""


@dataclass(frozen=True, slots=True)
class HubRule:
    """Facts about the repository that differ from the plan's."""

    exists: bool | None = None
    gated: bool | None = None
    licence_accepted: bool = True
    architecture: str | None = None
    framework_version: str | None = None
    model_format: str | None = None
    parameter_size: str | None = None
    quantization: str | None = None
    rate_limited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RouterRule:
    """What goes wrong with the router."""

    SHORTHAND: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "forbidden": {"forbidden": True},
        "no-workers": {"no_workers": True},
    }

    forbidden: bool = False
    """Its account may not list pods."""
    no_workers: bool = False


@dataclass(frozen=True, slots=True)
class PodRule:
    """A container that cannot be created."""

    reason: str = "CreateContainerConfigError"
    message: str = ""
    component: str = "engine"


@dataclass(frozen=True, slots=True)
class PortForwardRule:
    """What goes wrong with port-forwards to a model's pods."""

    SHORTHAND: ClassVar[Mapping[str, Mapping[str, Any]]] = {"drop": {"drop": True}}

    drop: bool = False
    """The connection ends as soon as the first answer byte should come."""
    error: str | None = None
    """The kubelet's refusal, e.g. ``pod is not running``."""
    component: str = "engine"
    times: int | None = None
    """Only the first so many connections; None: all."""


@dataclass(frozen=True, slots=True)
class ModelRule:
    """Everything special about the models it matches; later rules of a file outrank earlier ones, by section."""

    match: tuple[str, ...] = ("*",)
    """Patterns; a model matches by resource name or by hub id."""
    vendor: tuple[str, ...] = ()
    """Only organisations of the hub id that match one of these patterns."""
    architecture: tuple[str, ...] = ()
    """Only these architectures."""
    download: DownloadRule | None = None
    startup: StartupRule | None = None
    http: tuple[HttpRule, ...] = ()
    generation: GenerationRule | None = None
    hub: HubRule | None = None
    router: RouterRule | None = None
    pod: PodRule | None = None
    port_forward: PortForwardRule | None = None


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A whole file."""

    description: str = ""
    seed: int = 1
    platform: str = "v0.1.5"
    """Version profile of the platform: ``v0.1.3``, ``v0.1.4``, ``interim``, ``v0.1.5``."""
    downloads: str = "sunny"
    """Duration model of downloads: ``sunny``, ``calm``, ``crowded``."""
    startups: str = "sunny"
    """Duration model of start-ups: ``sunny``, ``recorded``."""
    token_secret: bool = True
    """Whether the hub token lies in the platform's namespace."""
    token: str = "good"
    """What is wrong with it: ``good``, ``missing``, ``wrong-namespace``, ``wrong-key``, ``empty``."""
    installed: bool = True
    """Whether the platform is there: its kinds, its controller, its agents."""
    image_pull_seconds: float = 20.0
    models: tuple[ModelRule, ...] = ()
    images: tuple[ImageRule, ...] = ()
    nodes: tuple[NodeRule, ...] = ()
    timeline: tuple[Injection, ...] = ()
    gateway: GatewayRule = field(default_factory=GatewayRule)
    api: tuple[ApiRule, ...] = ()
    controller: tuple[ControllerRule, ...] = ()
    agents: tuple[AgentRule, ...] = ()
    objects: tuple[Any, ...] = ()
    """Manifests of objects that are there before anybody comes, in order."""
    files: tuple[FileEdit, ...] = ()
    expect: Expectation | None = None
