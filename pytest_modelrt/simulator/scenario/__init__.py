"""What happens on the simulated cluster: a sunny day unless a scenario file says otherwise.

Answers depend on the scenario, its seed and the names asked about, never on the order of the questions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pytest_modelrt.plan.load import display
from pytest_modelrt.plan.problems import ConfigError, Problem
from pytest_modelrt.simulator import durations
from pytest_modelrt.simulator.fleet import node_names
from pytest_modelrt.simulator.hub import Hub, HubRepo
from pytest_modelrt.simulator.scenario.cluster import AgentRule, ControllerRule, ImageRule, Injection, NodeRule
from pytest_modelrt.simulator.scenario.model import (
    MILESTONES,
    Crash,
    DownloadRule,
    GenerationRule,
    HttpRule,
    HubRule,
    LogLines,
    ModelRule,
    PodRule,
    PortForwardRule,
    RouterRule,
    ScenarioFile,
    StartupRule,
)
from pytest_modelrt.simulator.scenario.opening import Opening
from pytest_modelrt.simulator.scenario.reader import read_scenario
from pytest_modelrt.simulator.scenario.signals import Signals

__all__ = [
    "MILESTONES",
    "AgentRule",
    "ControllerRule",
    "Crash",
    "DownloadScript",
    "GenerationRule",
    "HttpRule",
    "HubRule",
    "ImageScript",
    "Injection",
    "LogLines",
    "NodeRule",
    "PodRule",
    "PortForwardRule",
    "RouterRule",
    "Scenario",
    "StartupScript",
]

_UNKNOWN_IMAGE = ImageRule(
    match=("*:*no-such-tag*",),
    error="rpc error: code = NotFound desc = failed to pull and unpack image: failed to resolve reference: not found",
)
"""The simulated registry has every image but those whose tag says otherwise."""


@dataclass(frozen=True, slots=True)
class DownloadScript:
    """One try of one node to fetch one model."""

    cached: bool
    seconds: float
    """From the moment a worker takes the task until it is done (or fails), cluster seconds."""
    total_bytes: int
    files: int
    stuck_after: float | None = None
    """Share of the bytes (0 to 1) after which nothing moves any more."""
    queued: bool = False
    """No worker ever takes the task."""
    error: str | None = None
    """The downloader's error text; the node becomes Failed after ``seconds``."""
    parse: bool = True
    """False: config.json cannot be parsed; Ready without metadata."""
    stale: bool = False
    """Label Ready, entry stays Updating at 100 %."""
    log: tuple[str, ...] = ()
    stall_seconds: float | None = None
    """A stall ends after so long; None: never."""
    corrupt: bool = False
    """The files arrive damaged."""
    never_cleared: bool = False
    """The node keeps label and entry when the model is deleted."""


@dataclass(frozen=True, slots=True)
class StartupScript:
    """One start of one engine."""

    seconds: float
    """From the start of the process until it answers, cluster seconds."""
    crash: Crash | None = None
    hang: str | None = None
    log: tuple[LogLines, ...] = ()
    served_name: str | None = None


@dataclass(frozen=True, slots=True)
class ImageScript:
    """Pulling one image onto a node that has it not yet."""

    seconds: float
    error: str | None = None
    reason: str = "ErrImagePull"
    times: int | None = None
    """Only the first so many pulls on each node fail."""


class Scenario:
    """Answers the simulator's questions about the future."""

    def __init__(self, file: ScenarioFile | None = None, hub: Hub | None = None, seed: int | None = None) -> None:
        self.file = file or ScenarioFile()
        self.hub = hub or Hub()
        self.seed = self.file.seed if seed is None else seed
        self.signals = Signals()
        self.opening = Opening()

    @classmethod
    def load(
        cls,
        path_or_name: str | Path | None = None,
        hub: Hub | None = None,
        seed: int | None = None,
        directory: Path = Path("config/scenarios"),
    ) -> Scenario:
        """The scenario of a file, of a name in ``directory`` (``realistic``), or the sunny day for None.

        Raises:
            ConfigError: no such file, or the file is not a valid scenario.
        """
        if path_or_name is None:
            return cls(None, hub, seed)
        path = Path(path_or_name)
        if path.suffix not in (".yaml", ".yml"):
            path = directory / f"{path_or_name}.yaml"
            if not path.is_file():
                known = ", ".join(sorted(file.stem for file in directory.glob("*.yaml"))) or "none"
                raise ConfigError([Problem(display(path), 0, "", "no such scenario", f"known here: {known}")])
        return cls(read_scenario(path), hub, seed)

    @property
    def platform(self) -> str:
        """Version profile of the platform."""
        return self.file.platform

    @property
    def token(self) -> str:
        """State of the hub token: ``good``, ``missing``, ``wrong-namespace``, ``wrong-key``, ``empty``."""
        return self.file.token if self.file.token_secret else "missing"

    def repo(self, model_name: str, hub_id: str) -> HubRepo:
        """The repository as the hub shows it in this scenario."""
        repo = self.hub.repo(hub_id)
        rule = self._rule(model_name, hub_id, "hub")
        if rule is None:
            return repo
        names = ("exists", "gated", "architecture", "framework_version", "model_format", "parameter_size")
        changes = {name: value for name in names if (value := getattr(rule, name)) is not None}
        if rule.quantization is not None:
            changes["quantization"] = rule.quantization or None
        return dataclasses.replace(repo, **changes)

    def hub_rule(self, model_name: str, hub_id: str) -> HubRule:
        """What the scenario says about access to the repository."""
        return self._rule(model_name, hub_id, "hub") or HubRule()

    def download(self, model_name: str, hub_id: str, node: str, attempt: int = 1) -> DownloadScript:
        """How the ``attempt``-th try of ``node`` to fetch the model goes."""
        rule: DownloadRule = self._rule(model_name, hub_id, "download") or DownloadRule()
        model = durations.DOWNLOAD_MODELS[self.file.downloads]
        repo = self.repo(model_name, hub_id)
        cached = durations.is_cached(model, self.seed, hub_id) if rule.cached is None else rule.cached
        if rule.seconds is not None:
            seconds, cached = rule.seconds, bool(rule.cached)
        elif rule.bytes_per_second:
            seconds, cached = repo.weights_bytes / rule.bytes_per_second, False
        elif cached:
            seconds = durations.cached_seconds(model, self.seed, hub_id, node)
        else:
            seconds = durations.cold_seconds(model, self.seed, hub_id, node, repo.weights_bytes)
        stuck = rule.stuck_at
        if rule == DownloadRule() and durations.is_stuck(model, self.seed, hub_id):
            stuck = 0.0
        hit = _hits(rule, node, attempt)
        return DownloadScript(
            cached=cached and stuck is None,
            seconds=seconds,
            total_bytes=repo.weights_bytes,
            files=repo.files,
            stuck_after=stuck if hit else None,
            queued=rule.queued and hit,
            error=rule.error if hit else None,
            parse=rule.parse,
            stale=rule.stale,
            log=rule.log,
            stall_seconds=rule.stall_seconds,
            corrupt=rule.corrupt and hit,
            never_cleared=rule.never_cleared and hit,
        )

    def startup(
        self, model_name: str, hub_id: str, gpus: int, node: str = "", start: int = 1, argv: Sequence[str] = ()
    ) -> StartupScript:
        """How the ``start``-th start of the model's engine on ``node`` with the command line ``argv`` goes.

        ``gpus`` is part of the question for scenarios to come; the record shows no effect of it on the time.
        """
        rule: StartupRule = self._rule(model_name, hub_id, "startup") or StartupRule()
        if rule.unless_args and all(f" {words} " in f" {' '.join(argv)} " for words in rule.unless_args):
            rule = StartupRule()
        model = durations.STARTUP_MODELS[self.file.startups]
        parameters = self.hub.repo(hub_id).parameters
        seconds = durations.startup_seconds(model, self.seed, hub_id, parameters)
        if rule.seconds is not None:
            seconds = rule.seconds
        if start > 1 and rule.again_seconds is not None:
            seconds = rule.again_seconds
        crash = rule.crash
        if crash and crash.times is not None and start > crash.times:
            crash = None
        if crash and crash.nodes and not _any_match(crash.nodes, node):
            crash = None
        return StartupScript(
            seconds=seconds,
            crash=crash,
            hang=rule.hang,
            log=rule.log,
            served_name=rule.served_name,
        )

    def http(self, model_name: str, hub_id: str = "", component: str = "engine") -> tuple[HttpRule, ...]:
        """Paths of the model's engine (or router) that answer something else."""
        rules = self._rule(model_name, hub_id, "http") or ()
        return tuple(rule for rule in rules if rule.component == component)

    def generation(self, model_name: str, hub_id: str = "") -> GenerationRule:
        """What the model says."""
        return self._rule(model_name, hub_id, "generation") or GenerationRule()

    def router(self, model_name: str, hub_id: str = "") -> RouterRule:
        """What goes wrong with the model's router."""
        return self._rule(model_name, hub_id, "router") or RouterRule()

    def pod(self, model_name: str, component: str, hub_id: str = "") -> PodRule | None:
        """Why the containers of a component cannot be created, if so."""
        rule: PodRule | None = self._rule(model_name, hub_id, "pod")
        return rule if rule and rule.component == component else None

    def port_forward(self, model_name: str, component: str, hub_id: str = "") -> PortForwardRule | None:
        """What goes wrong with port-forwards to a component, if so."""
        rule: PortForwardRule | None = self._rule(model_name, hub_id, "port_forward")
        return rule if rule and rule.component == component else None

    def agent_outages(self, node: str) -> tuple[AgentRule, ...]:
        """When the download agent of a node is down."""
        return tuple(rule for rule in self.file.agents if _any_match(rule.match, node))

    def image(self, image: str) -> ImageScript:
        """How pulling ``image`` goes."""
        rule = ImageRule(match=())
        for candidate in (_UNKNOWN_IMAGE, *self.file.images):
            if _any_match(candidate.match, image):
                rule = candidate
        seconds = self.file.image_pull_seconds if rule.seconds is None else rule.seconds
        return ImageScript(seconds, rule.error, rule.reason, rule.times)

    def node_faults(self, node: str) -> tuple[NodeRule, ...]:
        """Faults of a node over time."""
        return tuple(rule for rule in self.file.nodes if _any_match(rule.match, node))

    def _rule(self, model_name: str, hub_id: str, section: str) -> Any:
        found = None
        for rule in self.file.models:
            value = getattr(rule, section)
            if value and self._matches(rule, model_name, hub_id):
                found = value
        return found

    def _matches(self, rule: ModelRule, model_name: str, hub_id: str) -> bool:
        if not (_any_match(rule.match, model_name) or _any_match(rule.match, hub_id)):
            return False
        if rule.vendor and not _any_match(rule.vendor, hub_id.partition("/")[0]):
            return False
        return not rule.architecture or self.hub.repo(hub_id).architecture in rule.architecture


def _hits(rule: DownloadRule, node: str, attempt: int) -> bool:
    """Whether the fault of a download rule applies to this node and try."""
    if rule.tries is not None and attempt > rule.tries:
        return False
    if rule.nodes and not _any_match(rule.nodes, node):
        return False
    return rule.nodes_failed is None or node in node_names(rule.nodes_failed)


def _any_match(patterns: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)
