"""The platforms that can be installed on the simulated cluster: OME, and KServe with its gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pytest_modelrt.simulator.apiserver.admission import AdmissionRequest
from pytest_modelrt.simulator.client import ApiClient, Object
from pytest_modelrt.simulator.controllers import bootstrap
from pytest_modelrt.simulator.controllers.agent.fleet import AgentFleet
from pytest_modelrt.simulator.controllers.kserve import install as kserve
from pytest_modelrt.simulator.controllers.kserve.admission import Webhook
from pytest_modelrt.simulator.controllers.kserve.manager import LLMManager
from pytest_modelrt.simulator.controllers.ome.admission import Webhooks
from pytest_modelrt.simulator.controllers.ome.manager import Manager
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.controllers.workloads.pods import is_ready
from pytest_modelrt.simulator.fleet import Fleet
from pytest_modelrt.simulator.gateway.istio import Istiod, Proxies
from pytest_modelrt.simulator.gateway.kuadrant import Operator, Services
from pytest_modelrt.simulator.gateway.maas_api import maas_api
from pytest_modelrt.simulator.gateway.mesh import Mesh
from pytest_modelrt.simulator.gateway.ports import HostPort
from pytest_modelrt.simulator.nodes.engines.storage_initializer import IMAGE as INITIALIZER_IMAGE
from pytest_modelrt.simulator.nodes.engines.storage_initializer import storage_initializer
from pytest_modelrt.simulator.nodes.engines.vllm import IMAGE as VLLM_IMAGE
from pytest_modelrt.simulator.nodes.engines.vllm import vllm
from pytest_modelrt.simulator.nodes.programs import Program
from pytest_modelrt.simulator.resources import OME_NAMESPACE
from pytest_modelrt.simulator.scenario import Scenario


class Installed(Protocol):
    """One platform: what it installs, what runs in its containers, when it is there."""

    @property
    def programs(self) -> Mapping[str, Program]:
        """Image prefix -> program."""

    @property
    def preloaded(self) -> Sequence[str]:
        """Images that lie on every node from the start."""

    async def install(self, client: ApiClient) -> None:
        """Create its objects."""

    def settled(self, pods: Iterable[Object]) -> bool:
        """Whether everything it installed runs."""

    async def admit(self, request: AdmissionRequest) -> Object | None:
        """Its webhooks: a changed object or None.

        Raises:
            StatusError: refused.
        """


class Ome:
    """OME: base models, runtimes, InferenceServices."""

    def __init__(self, platform: Platform, scenario: Scenario, fleet: Fleet) -> None:
        self._profile = platform.profile
        self._token = scenario.token
        self._wanted = fleet.nodes + 1
        manager, agents = Manager(platform), AgentFleet(platform)
        self.admit = Webhooks(platform, manager.is_serving).__call__
        self.programs = {bootstrap.MANAGER_IMAGE: manager.program, bootstrap.AGENT_IMAGE: agents.program}
        self.preloaded = [f"{image}:{platform.profile.name}" for image in self.programs]

    async def install(self, client: ApiClient) -> None:
        """Namespace, settings, manager and one agent per node."""
        await bootstrap.install(client, self._profile, token=self._token)

    def settled(self, pods: Iterable[Object]) -> bool:
        """Whether the manager and every agent run."""
        return _ready_in(pods, {OME_NAMESPACE}) >= self._wanted


class KServe:
    """KServe's LLMInferenceServices, Istio's gateways, Kuadrant's policies."""

    def __init__(self, platform: Platform, host_port: HostPort) -> None:
        manager, mesh = LLMManager(platform), Mesh(host_port)
        services = Services(platform, mesh)
        self.admit = Webhook(manager.is_serving).__call__
        self.programs = {
            kserve.LLMISVC_IMAGE: manager.program,
            kserve.ISTIOD_IMAGE: Istiod(platform, mesh).program,
            kserve.PROXY_IMAGE: Proxies(platform, mesh).program,
            kserve.KUADRANT_IMAGE: Operator(platform, mesh).program,
            kserve.AUTHORINO_IMAGE: services.authorino,
            kserve.LIMITADOR_IMAGE: services.limitador,
            kserve.MAAS_API_IMAGE: maas_api,
            VLLM_IMAGE: vllm,
            INITIALIZER_IMAGE: storage_initializer,
        }
        self.preloaded = kserve.PRELOADED

    async def install(self, client: ApiClient) -> None:
        """Operators, presets and classes; gateways, policies and models come from whoever uses them."""
        await kserve.install(client)

    def settled(self, pods: Iterable[Object]) -> bool:
        """Whether the operators run."""
        return _ready_in(pods, {program.namespace for program in kserve.PROGRAMS}) >= len(kserve.PROGRAMS)


def _ready_in(pods: Iterable[Object], namespaces: set[str]) -> int:
    return sum(is_ready(pod) for pod in pods if pod["metadata"]["namespace"] in namespaces)


def installed(
    names: Iterable[str], platform: Platform, scenario: Scenario, fleet: Fleet, host_port: HostPort
) -> list[Installed]:
    """The platforms of these names, ready to be installed."""
    makers: Mapping[str, Callable[[], Installed]] = {
        "ome": lambda: Ome(platform, scenario, fleet),
        "kserve": lambda: KServe(platform, host_port),
    }
    return [makers[name]() for name in names]
