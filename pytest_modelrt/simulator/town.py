"""Puts the simulator's houses together: API server, nodes, controllers. They meet only in the API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from pytest_modelrt.clock import SIMULATOR_EXTENSION, Clock
from pytest_modelrt.lag import LagMeter
from pytest_modelrt.plan.problems import ConfigError, Problem
from pytest_modelrt.simulator import platforms
from pytest_modelrt.simulator.apiserver.admission import AdmissionRequest
from pytest_modelrt.simulator.apiserver.pki import Authority
from pytest_modelrt.simulator.apiserver.server import ApiServer, ServerConfig
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.controllers import bootstrap
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.controllers.profile import Profile
from pytest_modelrt.simulator.controllers.schemas import PLATFORM_FILES, crds
from pytest_modelrt.simulator.controllers.workloads import Workloads
from pytest_modelrt.simulator.controllers.workloads.pods import is_ready
from pytest_modelrt.simulator.fleet import Fleet
from pytest_modelrt.simulator.gateway.ports import HostPort
from pytest_modelrt.simulator.nodes.house import Nodes
from pytest_modelrt.simulator.platforms import Installed
from pytest_modelrt.simulator.residence import Residence
from pytest_modelrt.simulator.resources import NODES, PODS
from pytest_modelrt.simulator.scenario import Scenario
from pytest_modelrt.simulator.scenario.faults import OWN_USER, api_faults

log = logging.getLogger(__name__)


class Town:
    """One simulated cluster; ``ready`` is set when a client finds it as if it had been there for long."""

    def __init__(
        self,
        residence: Residence,
        clock: Clock,
        scenario: Scenario,
        fleet: Fleet,
        profile: Profile,
        names: tuple[str, ...] = tuple(PLATFORM_FILES),
    ) -> None:
        self.ready = asyncio.Event()
        self._residence = residence
        self._clock = clock
        self._scenario = scenario
        self._fleet = fleet
        self._profile = profile
        self._platforms = names
        self._host_port = HostPort()
        self._webhooks: list[Installed] = []

    async def run(self, apiserver: Path | None, without: frozenset[str], stop: asyncio.Event) -> None:
        """Build everything, be ready, and take it down again once ``stop`` is set.

        ``apiserver`` is the kubeconfig of a server to use instead of an own one; ``without`` names workload
        controllers (by plural) that run elsewhere.

        Raises:
            Exception: whatever made a part fail.
        """
        self._scenario.opening.close()
        async with AsyncExitStack() as stack:
            stack.callback(self._host_port.close)
            beating = asyncio.create_task(LagMeter(self._residence.directory).run(), name="lag")
            stack.push_async_callback(_cancelled, beating)
            client, authority = await self._reach(apiserver, stack)
            platform = Platform(client, self._clock, self._profile)
            stack.push_async_callback(platform.informers.stop)
            installed = platforms.installed(self._platforms, platform, self._scenario, self._fleet, self._host_port)
            workloads = Workloads(platform, without)
            nodes = self._nodes(client, installed, self._certificate(authority))
            stack.push_async_callback(nodes.stop)
            await nodes.start()
            await platform.informers.start()
            if apiserver is None:
                self._webhooks = installed
            for each in installed:
                await each.install(client)
            working = asyncio.create_task(workloads.run(), name="workloads")
            stack.push_async_callback(_cancelled, working)
            await self._first_of(self._settled(platform, installed), working, stop)
            if not stop.is_set():
                await self._set_the_scene(client, own=apiserver is None)
                self._move_in(apiserver)
                self.ready.set()
            await self._first_of(stop.wait(), working, stop)

    async def _reach(self, apiserver: Path | None, stack: AsyncExitStack) -> tuple[ApiClient, Authority]:
        """A client of the API server, which is started if it is our own, and who signs our certificates."""
        if apiserver is not None:
            try:
                client = await stack.enter_async_context(ApiClient.from_kubeconfig(apiserver))
                await bootstrap.install_crds(client, crds(self._platforms))
            except (ApiStatusError, aiohttp.ClientError, OSError, TimeoutError, KeyError, yaml.YAMLError) as error:
                what = f"this API server cannot be used: {type(error).__name__}: {error}"
                remedy = "name a kubeconfig of a server that runs, with the rights of an administrator"
                raise ConfigError([Problem(str(apiserver), 0, "", what, remedy)]) from error
            return client, Authority()
        self._server = ApiServer(
            ServerConfig(
                directory=self._residence.directory,
                speed=self._clock.speed,
                crds=crds(self._platforms),
                admission=[self._admit],
                kubeconfig_extension=self._extension(),
            )
        )
        await self._server.start()
        stack.push_async_callback(self._server.stop)
        context = self._server.authority.client_context()
        token = self._server.token(OWN_USER)
        client = await stack.enter_async_context(ApiClient(self._server.url, context, token))
        return client, self._server.authority

    async def _admit(self, request: AdmissionRequest) -> Object | None:
        """The webhooks of all platforms; each looks at its own kinds only."""
        for each in self._webhooks:
            changed = await each.admit(request)
            if changed is not None:
                return changed
        return None

    async def _set_the_scene(self, client: ApiClient, *, own: bool) -> None:
        """What the scenario has in store from now on."""
        for manifest in self._scenario.file.objects:
            await bootstrap.ensure(client, *bootstrap.known(manifest))
            self._scenario.signals.note("", f"there before: {manifest['kind']} {manifest['metadata']['name']}")
        if own:
            self._server.faults.on_hit = lambda fault: self._scenario.signals.note("", f"API {fault.status}")
            for fault in api_faults(self._scenario, self._clock.speed):
                self._server.faults.add(fault)
        elif self._scenario.file.api:
            log.warning("the scenario's API faults need the simulator's own API server")
        self._scenario.opening.open(self._clock)

    def _certificate(self, authority: Authority) -> tuple[Path, Path]:
        """The kubelets' certificate and key as files."""
        certificate, key = authority.issue("127.0.0.1", "localhost", *self._fleet.names)
        self._residence.write("kubelet.crt", certificate.decode())
        self._residence.write("kubelet.key", key.decode())
        return self._residence.directory / "kubelet.crt", self._residence.directory / "kubelet.key"

    def _nodes(self, client: ApiClient, installed: Sequence[Installed], certificate: tuple[Path, Path]) -> Nodes:
        programs = {prefix: program for each in installed for prefix, program in each.programs.items()}
        return Nodes(
            client,
            self._clock,
            self._scenario,
            self._scenario.hub,
            programs,
            self._residence.directory,
            certificate=certificate,
            nodes=self._fleet.nodes,
            gpus_per_node=self._fleet.gpus_per_node,
            preloaded=[image for each in installed for image in each.preloaded],
        )

    async def _settled(self, platform: Platform, installed: Sequence[Installed]) -> None:
        """Wait until all nodes are ready and what was installed runs."""
        nodes, pods = platform.informers.of(NODES), platform.informers.of(PODS)
        changed = asyncio.Event()
        stops = [informer.on_change(lambda *_: changed.set()) for informer in (nodes, pods)]
        try:
            while True:
                changed.clear()
                if sum(map(is_ready, nodes.cache.values())) >= self._fleet.nodes and all(
                    each.settled(pods.cache.values()) for each in installed
                ):
                    return
                await changed.wait()
        finally:
            for stop in stops:
                stop()

    def _extension(self) -> Object:
        """What the kubeconfig says about this cluster."""
        known = {"speed": self._clock.speed, "directory": str(self._residence.directory.resolve())}
        return {**known, "gateway": self._host_port.url} if "kserve" in self._platforms else known

    def _move_in(self, apiserver: Path | None) -> None:
        """Write the kubeconfig that says: ready."""
        if apiserver is None:
            self._server.write_kubeconfig(self._residence.kubeconfig)
            return
        config = yaml.safe_load(apiserver.read_text(encoding="utf-8"))
        for entry in config["clusters"]:
            entry["cluster"]["extensions"] = [{"name": SIMULATOR_EXTENSION, "extension": self._extension()}]
        self._residence.write(self._residence.kubeconfig.name, yaml.safe_dump(config))

    @staticmethod
    async def _first_of(awaited: Coroutine[Any, Any, Any], working: asyncio.Task[None], stop: asyncio.Event) -> None:
        """Wait for ``awaited``, for ``stop``, or for the workload controllers to fail."""
        tasks = {asyncio.ensure_future(awaited), asyncio.ensure_future(stop.wait())}
        try:
            done, _ = await asyncio.wait({*tasks, working}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
