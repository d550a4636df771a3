"""One container of a pod: image, start, program, probes, exit, restart with back-off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.durations import rng
from pytest_modelrt.simulator.nodes.environment import ConfigReferenceError, command_line, resolve_environment
from pytest_modelrt.simulator.nodes.events import timestamp
from pytest_modelrt.simulator.nodes.images import ImagePullError
from pytest_modelrt.simulator.nodes.logs import ContainerLog
from pytest_modelrt.simulator.nodes.probes import Prober
from pytest_modelrt.simulator.nodes.programs import KILLED_EXIT, SIGTERM_EXIT, ProgramContext
from pytest_modelrt.simulator.nodes.surroundings import MODEL_LABEL, Surroundings

log = logging.getLogger(__name__)

_FIRST_BACKOFF, _LONGEST_BACKOFF = 10.0, 300.0
_CONFIG_RETRY_SECONDS = 10.0
_HEALTHY_SECONDS = 600.0
"""A run that lasted this long makes the next back-off start over."""


class Container:
    """Walks one container through its states; ``changed`` is called after every step."""

    def __init__(
        self,
        around: Surroundings,
        pod: Object,
        spec: Object,
        address: str,
        changed: Callable[[], None],
        *,
        init: bool = False,
    ) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        waits_for_init = bool(pod["spec"].get("initContainers")) and not init
        self.state: Object = {"waiting": {"reason": "PodInitializing" if waits_for_init else "ContainerCreating"}}
        self.last_state: Object = {}
        self.restarts = 0
        self._runs = 0
        self.ready = False
        self.started = False
        self.output: ContainerLog | None = None
        self.previous: ContainerLog | None = None
        self.finished = False
        """Ended for good, by the pod's restart policy."""
        self._init = init
        self._around = around
        self._pod = pod
        self._address = address
        self._changed = changed
        self._process: asyncio.Task[int] | None = None
        self._backoff = 0.0

    @property
    def node(self) -> str:
        """The node it runs on."""
        return str(self._pod["spec"]["nodeName"])

    def status(self) -> Object:
        """Its entry in ``containerStatuses``."""
        started = self.started and "running" in self.state
        return {
            "name": self.name,
            "image": self.spec.get("image", ""),
            "imageID": f"docker.io/simulated@{self.spec.get('image', '')}" if self.output else "",
            "containerID": f"containerd://{self._pod['metadata']['uid']}-{self.restarts}" if self.output else "",
            "ready": self.ready and "running" in self.state,
            "started": started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
        }

    async def run(self) -> None:
        """Until it ended for good or is cancelled (the pod goes)."""
        try:
            while True:
                env = await self._prepare()
                code, seconds = await self._once(env)
                if not self._restarts_after(code):
                    self.finished = True
                    return
                await self._wait_to_restart(seconds)
        finally:
            if self.output is not None:
                self.output.close()

    async def _prepare(self) -> dict[str, str]:
        await self._have_image()
        while True:
            rule = self._around.pod_rule(self._pod)
            try:
                if rule is not None:
                    raise ConfigReferenceError(rule.message)
                return await resolve_environment(self._around.client, self._pod, self.spec)
            except ConfigReferenceError as error:
                reason = rule.reason if rule else "CreateContainerConfigError"
                self._note(reason)
                self._set(waiting={"reason": reason, "message": str(error)})
                await self._event("Warning", "Failed", f"Error: {error}")
            except (ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
                log.debug("environment of %s not resolved yet: %s", self.name, error)
            await self._around.clock.asleep(_CONFIG_RETRY_SECONDS)

    async def _have_image(self) -> None:
        image, images = self.spec.get("image", ""), self._around.images
        if images.present(self.node, image) and self.spec.get("imagePullPolicy") != "Always":
            await self._event("Normal", "Pulled", f'Container image "{image}" already present on machine')
            return
        delay = _FIRST_BACKOFF
        while True:
            await self._event("Normal", "Pulling", f'Pulling image "{image}"')
            try:
                seconds = await images.pull(self.node, image)
            except ImagePullError as error:
                await self._event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
                await self._event("Warning", "Failed", f"Error: {error.reason}")
                self._set(waiting={"reason": error.reason, "message": str(error)})
                await self._around.clock.asleep(delay / 2)
                text = f'Back-off pulling image "{image}"'
                await self._event("Normal", "BackOff", text)
                await self._event("Warning", "Failed", "Error: ImagePullBackOff")
                self._set(waiting={"reason": "ImagePullBackOff", "message": f"{text}: {error.reason}: {error}"})
                await self._around.clock.asleep(delay / 2)
                delay = min(delay * 2, _LONGEST_BACKOFF)
            else:
                took = f"{seconds:.3f}s ({seconds:.3f}s including waiting)"
                await self._event("Normal", "Pulled", f'Successfully pulled image "{image}" in {took}.')
                return

    async def _once(self, env: dict[str, str]) -> tuple[int, float]:
        """One run; returns its exit code and its cluster seconds."""
        clock = self._around.clock
        self._runs += 1
        self.previous, self.output = self.output, ContainerLog()
        context = self._context(env, self.output)
        program = self._around.programs.find(self.spec.get("image", ""), context.argv)
        await self._event("Normal", "Created", f"Created container: {self.name}")
        began, started_at, code = clock.monotonic(), timestamp(), KILLED_EXIT
        name = f"{context.pod_name}/{self.name}"
        self._process = asyncio.create_task(_supervise(program, context), name=name)
        self.restarts = self._runs - 1
        self._set(running={"startedAt": started_at})
        await self._event("Normal", "Started", f"Started container {self.name}")
        probing = asyncio.create_task(self._probe(), name=f"{name}-probes")
        try:
            code = await asyncio.shield(self._process)
        except asyncio.CancelledError:
            self.set_ready(False)
            await self._event("Normal", "Killing", f"Stopping container {self.name}")
            code = await self._stop()
            raise
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            self.ready = self.started = False
            self.output.close()
            self._set(terminated=_terminated(code, context.terminated_reason, started_at))
        return code, clock.monotonic() - began

    async def _probe(self) -> None:
        around = self._around
        await Prober(around.clock, around.network, around.session, self._pod, self.spec, self._address).run(self)

    async def _stop(self) -> int:
        """SIGTERM, then, when the grace period is over, SIGKILL."""
        assert self._process is not None
        self._process.cancel()
        grace = float(self._pod["spec"].get("terminationGracePeriodSeconds") or 30)
        done, _ = await asyncio.wait({self._process}, timeout=max(1.0, grace / self._around.clock.speed))
        if not done:
            self._process.cancel()
            await asyncio.wait({self._process}, timeout=1.0)
        return self._process.result() if self._process.done() else KILLED_EXIT

    def _context(self, env: dict[str, str], output: ContainerLog) -> ProgramContext:
        metadata = self._pod["metadata"]
        owner = metadata.get("generateName") or metadata["name"]
        return ProgramContext(
            pod=self._pod,
            container=self.spec,
            node=self.node,
            argv=command_line(self.spec, env),
            env=env,
            address=self._address,
            start=self._runs,
            clock=self._around.clock,
            rng=rng(self._around.scenario.seed, metadata["namespace"], owner, self.name, self._runs - 1),
            disk=self._around.disks.of(self.node),
            network=self._around.network,
            scenario=self._around.scenario,
            hub=self._around.hub,
            output=output,
            connect_api=self._around.connect_api,
        )

    def _restarts_after(self, code: int) -> bool:
        policy = self._pod["spec"].get("restartPolicy") or "Always"
        if self._init:
            return policy != "Never" and code != 0
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    async def _wait_to_restart(self, ran: float) -> None:
        clock = self._around.clock
        if ran >= _HEALTHY_SECONDS:
            self._backoff = 0.0
        pause, self._backoff = self._backoff, min(max(_FIRST_BACKOFF, self._backoff * 2), _LONGEST_BACKOFF)
        self.last_state = dict(self.state)
        if pause:
            metadata = self._pod["metadata"]
            who = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
            text = f"back-off {_go_duration(pause)} restarting failed container={self.name} pod={who}"
            self._set(waiting={"reason": "CrashLoopBackOff", "message": text})
            await self._event("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {who}")
            await clock.asleep(pause)
        else:
            self._changed()
            await clock.asleep(1)

    async def probe_failed(self, kind: str, message: str) -> None:
        """A probe failed once: an event says so."""
        await self._event("Warning", "Unhealthy", f"{kind} probe failed: {message}")

    def set_started(self) -> None:
        """The startup probe succeeded, or there is none."""
        self.started = True
        self._changed()

    def set_ready(self, ready: bool) -> None:
        """The readiness probe changed its mind."""
        self.ready = ready
        self._changed()

    async def kill(self, kind: str) -> None:
        """The startup or liveness probe failed too often."""
        self._note(f"{kind} probe failed")
        await self._event("Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
        if self._process is not None:
            self._process.cancel()

    def _note(self, what: str) -> None:
        labels = self._pod["metadata"].get("labels") or {}
        self._around.scenario.signals.note(labels.get(MODEL_LABEL, ""), what)

    def _set(self, **state: Any) -> None:
        self.state = state
        self._changed()

    async def _event(self, kind: str, reason: str, message: str) -> None:
        path = f"spec.containers{{{self.name}}}"
        await self._around.events.record(self._pod, kind, reason, message, host=self.node, field_path=path)


async def _supervise(program: Any, context: ProgramContext) -> int:
    """Run a program; whatever happens to it becomes an exit code."""
    try:
        return int(await program(context))
    except asyncio.CancelledError:
        return SIGTERM_EXIT
    except (ApiStatusError, aiohttp.ClientError, OSError) as error:
        context.log(f"fatal: {error}")
        return 1
    except Exception:
        log.exception("program of %s/%s failed", context.namespace, context.pod_name)
        context.log("fatal: internal error of the simulated program")
        return 1
    finally:
        await context.close()


def _terminated(code: int, reason: str, started_at: str) -> Object:
    why = reason or ("Completed" if code == 0 else "Error")
    return {"exitCode": code, "reason": why, "startedAt": started_at, "finishedAt": timestamp()}


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
