"""The program of the model agent's pods, one per node."""

from __future__ import annotations

from pytest_modelrt.simulator.controllers.agent.agent import Agent
from pytest_modelrt.simulator.controllers.outages import run_outside
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.resources import BASE_MODELS, CLUSTER_BASE_MODELS, CONFIG_MAPS, NODES


class AgentFleet:
    """All agents of the cluster; they share informers and the memory of how often each download was tried."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._tries: dict[tuple[str, str], int] = {}
        self._settled: set[str] = set()
        for resource in (CLUSTER_BASE_MODELS, BASE_MODELS, NODES, CONFIG_MAPS):
            platform.informers.of(resource)

    @property
    def running(self) -> frozenset[str]:
        """Nodes whose agent has run at least once."""
        return frozenset(self._settled)

    async def program(self, context: ProgramContext) -> int:
        """Run in a container until it is stopped; only the first agent of a node starts without its delay."""
        settled = context.node not in self._settled
        self._settled.add(context.node)
        agent = Agent(self._platform, context, self._tries)
        return await run_outside(context.scenario.agent_outages(context.node), agent.run(settled=settled), context)
