"""The engine: starts in the real one's phases, serves, and dies the way the real one does."""

from __future__ import annotations

import asyncio

from pytest_modelrt.simulator.hub import HubRepo
from pytest_modelrt.simulator.nodes.engines.app import build_app
from pytest_modelrt.simulator.nodes.engines.arguments import EngineArguments, role_of
from pytest_modelrt.simulator.nodes.engines.crashes import own_crash
from pytest_modelrt.simulator.nodes.engines.milestones import lines, moment
from pytest_modelrt.simulator.nodes.engines.state import EngineState
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.nodes.surroundings import MODEL_LABEL
from pytest_modelrt.simulator.scenario import MILESTONES, Crash, StartupScript

_OOM_REASON = "OOMKilled"
_AFTERMATH = "Received sigquit from a child process. It usually means the child failed."
_MEETING_SECONDS = 1800.0


async def engine(context: ProgramContext) -> int:
    """``python3 -m sglang.launch_server``."""
    arguments = EngineArguments.parse(context.argv)
    directory = context.disk.get(arguments.model_path)
    hub_id = directory.hub_id if directory else arguments.served_name
    model = context.labels.get(MODEL_LABEL, "")
    repo = context.scenario.repo(model, hub_id)
    script = context.scenario.startup(model, hub_id, context.gpus, context.node, context.start, context.argv)
    state = EngineState(
        arguments=arguments,
        repo=repo,
        role=role_of(arguments, repo),
        served_name=script.served_name or arguments.served_name,
        clock=context.clock,
        output=context.output,
        generation=context.scenario.generation(model, hub_id),
        http_rules=context.scenario.http(model, hub_id),
        note=lambda what: context.scenario.signals.note(model, what),
    )
    run = _Run(context, state, script, own_crash(arguments, repo, context.gpus, directory) or script.crash)
    try:
        return await run.main()
    except asyncio.CancelledError:
        state.ready = False
        context.log("SIGTERM received. signum=None frame=None. Draining requests and shutting down...")
        await context.clock.asleep(context.rng.uniform(1.0, 4.0))
        context.log("Gracefully exiting... Remaining number of requests 0.")
        return 0


class _Run:
    """One start of the engine."""

    def __init__(self, context: ProgramContext, state: EngineState, script: StartupScript, crash: Crash | None) -> None:
        self._context = context
        self._state = state
        self._script = script
        self._crash = crash
        self._serving = False

    async def main(self) -> int:
        arguments = self._state.arguments
        passed = 0.0
        for milestone in MILESTONES:
            share = moment(milestone)
            await self._context.clock.asleep((share - passed) * self._script.seconds)
            passed = share
            if milestone == "load_begin" and arguments.nodes > 1:
                await self._meet()
            await self._reach(milestone, self._state.repo)
            if self._script.hang == milestone:
                self._note(f"hangs at {milestone}")
                await asyncio.Event().wait()
            if self._crash is not None and self._crash.at == milestone and milestone != "ready":
                return await self._die(self._crash)
        if arguments.rank == 0:
            self._state.ready = True
        await self._state.died.wait()
        return await self._die(self._crash or Crash(log=_UNKNOWN_DEATH, at="ready", exit_code=0))

    async def _reach(self, milestone: str, repo: HubRepo) -> None:
        follower = self._state.arguments.rank > 0
        if follower and milestone in ("http", "warmup", "ready"):
            return
        if milestone == "http":
            await self._serve()
        for line in lines(milestone, self._state.arguments, repo):
            self._context.log(line)
        for extra in self._script.log:
            if extra.at == milestone:
                self._context.log("\n".join(extra.lines))

    async def _serve(self) -> None:
        if not self._serving:
            self._serving = True
            await self._context.serve(self._state.arguments.port, build_app(self._state))

    async def _meet(self) -> None:
        """All ranks of a group must be there before weights are loaded."""
        arguments = self._state.arguments
        context = self._context
        context.log(f"waiting for {arguments.nodes} ranks at {arguments.meeting_point}")
        key = f"{context.namespace}/{arguments.meeting_point}"
        try:
            limit = _MEETING_SECONDS / context.clock.speed
            await asyncio.wait_for(context.network.meet(key, arguments.rank, arguments.nodes), limit)
        except TimeoutError:
            raise OSError("torch.distributed.DistStoreError: Timed out waiting for clients") from None

    async def _die(self, crash: Crash) -> int:
        self._state.ready = False
        self._note("crash")
        self._context.log(self._filled(crash.log.rstrip("\n")))
        if crash.listening:
            await self._serve()
            self._context.log(_AFTERMATH)
            await asyncio.Event().wait()
        if crash.reason != _OOM_REASON:
            self._context.log(_AFTERMATH)
        self._context.terminated_reason = crash.reason
        return crash.exit_code

    def _note(self, what: str) -> None:
        self._context.scenario.signals.note(self._context.labels.get(MODEL_LABEL, ""), what)

    def _filled(self, text: str) -> str:
        """Crash words with the facts of this engine in them."""
        arguments = self._state.arguments
        facts = {"architecture": self._state.repo.architecture, "model_path": arguments.model_path}
        for name, value in {**facts, "mem_fraction": str(arguments.mem_fraction)}.items():
            text = text.replace("{" + name + "}", value)
        return text


_UNKNOWN_DEATH = (
    "Scheduler hit an exception: Traceback (most recent call last):\n"
    "RuntimeError: CUDA error: an illegal memory access was encountered"
)
