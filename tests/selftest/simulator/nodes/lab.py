"""Runs one program as a kubelet would, without a cluster around it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.model import Case
from pytest_modelrt.simulator.client import ApiClient
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.nodes.disk import Directory, Disk
from pytest_modelrt.simulator.nodes.engines.sglang import engine
from pytest_modelrt.simulator.nodes.environment import command_line
from pytest_modelrt.simulator.nodes.logs import ContainerLog
from pytest_modelrt.simulator.nodes.network import Network
from pytest_modelrt.simulator.nodes.programs import Program, ProgramContext
from pytest_modelrt.simulator.scenario import Scenario

ROOT = Path(__file__).parents[4]
CONFIG = ROOT / "config"
NODE = "gpu-node-01"
PATIENCE = 30.0
SPEED = 2000.0


class Running:
    """A program in its container."""

    def __init__(self, context: ProgramContext, task: asyncio.Task[int]) -> None:
        self.context = context
        self.task = task

    @property
    def log(self) -> str:
        return "\n".join(line.text for line in self.context.output.lines)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.task, PATIENCE)

    async def said(self, words: str) -> None:
        """Until the log holds ``words``."""
        async with asyncio.timeout(PATIENCE):
            while words not in self.log:
                await asyncio.sleep(0.005)

    def url(self, port: int = 8080) -> str:
        return self.context.network.url(self.context.address, port)

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url(), timeout=PATIENCE, **options)


def plan_cases() -> Sequence[Case]:
    return load_plan(CONFIG).cases


def case_named(resource_name: str) -> Case:
    return next(case for case in plan_cases() if case.resource_name == resource_name)


def engine_container(case: Case) -> dict[str, Any]:
    """The engine's container from the committed runtime, the leader's when there are several."""
    path = CONFIG / "runtimes" / "srt" / case.vendor / f"{case.resource_name}-rt.yaml"
    config = yaml.safe_load(path.read_text())["spec"]["engineConfig"]
    return dict((config.get("leader") or config)["runner"])


def scenario_of(text: str, directory: Path) -> Scenario:
    path = directory / "scenario.yaml"
    path.write_text(text)
    return Scenario.load(path, Hub.load(CONFIG))


async def _no_api(_context: ProgramContext) -> ApiClient:
    raise ConnectionRefusedError("no API here")


@asynccontextmanager
async def running(
    program: Program,
    container: dict[str, Any],
    *,
    model: str = "m",
    scenario: Scenario | None = None,
    directory: Directory | None = None,
    path: str = "",
    start: int = 1,
    rank: int = 0,
    network: Network | None = None,
) -> AsyncIterator[Running]:
    """Run ``program`` until the block ends."""
    network = network or Network()
    scenario = scenario or Scenario(hub=Hub.load(CONFIG))
    disk = Disk(NODE)
    if directory is not None:
        disk.put(path, directory)
    env = {"MODEL_PATH": path, "LWS_WORKER_INDEX": str(rank), "LWS_LEADER_ADDRESS": "leader"}
    metadata = {"name": f"pod-{rank}", "namespace": "ns", "uid": "u", "labels": {"base-model-name": model}}
    context = ProgramContext(
        pod={"metadata": metadata, "spec": {"nodeName": NODE, "containers": [container]}},
        container=container,
        node=NODE,
        argv=command_line(container, env),
        env=env,
        address=network.join("ns", f"pod-{rank}"),
        start=start,
        clock=ScaledClock(SPEED),
        rng=random.Random(1),
        disk=disk,
        network=network,
        scenario=scenario,
        hub=scenario.hub,
        output=ContainerLog(),
        connect_api=_no_api,
    )

    async def main() -> int:
        return await program(context)

    task = asyncio.create_task(main())
    try:
        yield Running(context, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await context.close()


@asynccontextmanager
async def served(case: Case, scenario: Scenario | None = None) -> AsyncIterator[Running]:
    """The engine of a plan row from its committed runtime, all ranks of it, with its files on the disk; ready."""
    network = Network()
    async with AsyncExitStack() as stack:
        ranks = [
            await stack.enter_async_context(
                running(
                    engine,
                    engine_container(case),
                    model=case.resource_name,
                    scenario=scenario,
                    directory=Directory(case.hub_id, complete=True),
                    path=case.storage_path,
                    network=network,
                    rank=rank,
                )
            )
            for rank in range(case.serving.nodes)
        ]
        await ranks[0].said("fired up and ready to roll")
        yield ranks[0]
