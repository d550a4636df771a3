"""What the parts of a node share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient, Object
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.nodes.disk import Disks
from pytest_modelrt.simulator.nodes.events import EventRecorder
from pytest_modelrt.simulator.nodes.images import Images
from pytest_modelrt.simulator.nodes.network import Network
from pytest_modelrt.simulator.nodes.programs import ProgramContext, Programs
from pytest_modelrt.simulator.scenario import PodRule, Scenario

MODEL_LABEL = "base-model-name"
COMPONENT_LABEL = "component"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything a container or pod needs from outside."""

    client: ApiClient
    clock: Clock
    scenario: Scenario
    hub: Hub
    programs: Programs
    network: Network
    disks: Disks
    images: Images
    events: EventRecorder
    session: aiohttp.ClientSession
    """For probes and the proxy."""
    connect_api: Callable[[ProgramContext], Awaitable[ApiClient]]

    def pod_rule(self, pod: Object) -> PodRule | None:
        """Why the scenario keeps the pod's containers from being created, if it does."""
        labels = pod["metadata"].get("labels") or {}
        return self.scenario.pod(labels.get(MODEL_LABEL, ""), labels.get(COMPONENT_LABEL, ""))
