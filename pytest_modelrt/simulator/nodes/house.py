"""The nodes house as a whole: everything that a cluster's GPU machines do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
from aiohttp import web

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient
from pytest_modelrt.simulator.fleet import Fleet, node_address
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.nodes.disk import Disks
from pytest_modelrt.simulator.nodes.engines.inference_sim.program import IMAGE as INFERENCE_SIM_IMAGE
from pytest_modelrt.simulator.nodes.engines.inference_sim.program import inference_sim
from pytest_modelrt.simulator.nodes.engines.router import router
from pytest_modelrt.simulator.nodes.engines.sglang import engine
from pytest_modelrt.simulator.nodes.events import EventRecorder
from pytest_modelrt.simulator.nodes.images import Images
from pytest_modelrt.simulator.nodes.injector import Injector
from pytest_modelrt.simulator.nodes.kubelet import Kubelet
from pytest_modelrt.simulator.nodes.ledger import Ledger
from pytest_modelrt.simulator.nodes.loss import NodeLoss
from pytest_modelrt.simulator.nodes.machines import Machines
from pytest_modelrt.simulator.nodes.network import Network
from pytest_modelrt.simulator.nodes.programs import Program, ProgramContext, Programs, tls_context
from pytest_modelrt.simulator.nodes.scheduler import Scheduler
from pytest_modelrt.simulator.nodes.server import KubeletServer
from pytest_modelrt.simulator.nodes.surroundings import Surroundings
from pytest_modelrt.simulator.resources import CLAIMS, NODES, PODS, SERVICE_ACCOUNTS, SERVICES
from pytest_modelrt.simulator.scenario import Scenario

log = logging.getLogger(__name__)

_TOKEN_SECONDS = 86_400


class Nodes:
    """GPU nodes, their scheduler and kubelets. They know the rest of the cluster by its API only.

    ``programs`` maps image prefixes to programs; engines and routers of SGLang are known anyway, by their command.
    ``certificate`` is the kubelets' serving certificate and key as files; ``ledger.jsonl`` goes to ``directory``.
    ``preloaded`` images lie on every node from the start.
    """

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        scenario: Scenario,
        hub: Hub,
        programs: Mapping[str, Program],
        directory: Path,
        *,
        certificate: tuple[Path, Path],
        nodes: int = 14,
        gpus_per_node: int = 8,
        preloaded: Sequence[str] = (),
    ) -> None:
        self.fleet = Fleet(nodes=nodes, gpus_per_node=gpus_per_node)
        self.disks = Disks()
        self.network = Network()
        self.ledger = Ledger(directory, clock)
        self._client = client
        self._clock = clock
        self._scenario = scenario
        self._hub = hub
        self._certificate = certificate
        self._preloaded = preloaded
        self._programs = Programs(
            by_image={INFERENCE_SIM_IMAGE: inference_sim, **programs},
            by_words=(("sglang_router.launch_router", router), ("sglang.launch_server", engine)),
        )
        self._informers = {
            resource: Informer(client.as_component("kubelet"), resource) for resource in (PODS, NODES, SERVICES, CLAIMS)
        }
        self._informers[PODS].add_index("namespace", lambda pod: (pod["metadata"].get("namespace"),))
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._kubelet: Kubelet | None = None

    async def start(self) -> None:
        """Register the nodes and begin to run pods."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        kubelet_client = self._client.as_component("kubelet")
        images = Images(self._scenario, self._clock)
        for node in self.fleet.names:
            for image in self._preloaded:
                images.preload(node, image)
        around = Surroundings(
            client=kubelet_client,
            clock=self._clock,
            scenario=self._scenario,
            hub=self._hub,
            programs=self._programs,
            network=self.network,
            disks=self.disks,
            images=images,
            events=EventRecorder(kubelet_client, self._clock, "kubelet"),
            session=self._session,
            connect_api=self._connect_api,
        )
        pods, nodes, services = self._informers[PODS], self._informers[NODES], self._informers[SERVICES]
        self.network.know_services(
            lambda namespace, name: services.get(name, namespace),
            lambda namespace: pods.indexed("namespace", namespace),
        )
        addresses = {name: node_address(index) for index, name in enumerate(self.fleet.names)}
        self._kubelet = Kubelet(around, pods, addresses)
        port = await self._listen(self._kubelet)
        loss = NodeLoss(self._client.as_component("node-controller"), self._clock, pods, self._kubelet)
        machines = Machines(kubelet_client, self._clock, self._scenario, self.fleet, port, loss)
        await machines.register()
        claims = self._informers[CLAIMS]
        scheduler = Scheduler(
            self._client.as_component("kube-scheduler"), self._clock, pods, nodes, claims, self.ledger
        )
        loops = [scheduler.run(), machines.run(), *(informer.run() for informer in self._informers.values())]
        if self._scenario.file.timeline:
            scripted = self._client.as_component("modelrt-scenario")
            loops.append(Injector(scripted, self._clock, self._scenario, self._kubelet).run())
        self._tasks = [asyncio.create_task(loop, name="nodes") for loop in loops]
        for task in self._tasks:
            task.add_done_callback(_report)
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))

    async def stop(self) -> None:
        """Stop all programs and loops; the API objects stay as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._kubelet is not None:
            await self._kubelet.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        self.ledger.close()

    async def _listen(self, kubelet: Kubelet) -> int:
        assert self._session is not None
        app = KubeletServer(kubelet, self.network, self._session).app()
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        certificate, key = self._certificate
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls_context(str(certificate), str(key))).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _connect_api(self, context: ProgramContext) -> ApiClient:
        """The API as the pod's service account."""
        account = context.pod["spec"].get("serviceAccountName") or "default"
        path = SERVICE_ACCOUNTS.path(context.namespace, account, "token")
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS},
        }
        answer = await self._client.request("POST", path, body=request)
        return self._client.as_component(context.container["name"], answer["status"]["token"])


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a loop of the nodes failed", exc_info=task.exception())
