"""What the logs of running containers say while probes fail: status and exit codes prove little (failures, A9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.diagnosis.rules.access import forbidden_line
from pytest_modelrt.diagnosis.rules.engine import has_crashed, serves_elsewhere
from pytest_modelrt.stacks.ome.context import Context, name_of
from pytest_modelrt.stacks.ome.names import ENGINE_CONTAINER, ROUTER

LOOK_EVERY = 60.0
"""Cluster seconds between looks into the log of an engine whose probe fails, which every engine's does at first."""


@dataclass(slots=True)
class EngineWatch:
    """Finds engines that will never be ready although their process lives."""

    context: Context
    _looked: dict[str, float] = field(default_factory=dict)
    _crashed: dict[str, str] = field(default_factory=dict)
    """Pod -> the fingerprint of the exception its log held at the last look."""

    def why_hopeless(self, pod: str, probe_failure: str) -> str | None:
        """Why waiting on is in vain, after a failed probe of ``pod``; None while there is hope."""
        now = self.context.now()
        if now - self._looked.get(pod, -LOOK_EVERY) < LOOK_EVERY:
            return None
        self._looked[pod] = now
        log = self.context.cluster.logs(self.context.names.namespace.name, pod, ENGINE_CONTAINER)
        if serves_elsewhere(log, probe_failure):
            return f"it serves, and not where it is probed: {probe_failure}"
        crash, before = has_crashed(log), self._crashed.get(pod)
        self._crashed[pod] = crash
        if crash and crash == before:
            return f"it has crashed and still listens, for more than {LOOK_EVERY:.0f} s"
        return None


def router_warning(context: Context, routers: list[Object]) -> str:
    """Why no router is ready, as its log says."""
    for router in routers:
        log = context.cluster.logs(context.names.namespace.name, name_of(router), ROUTER)
        line = forbidden_line(log)
        if line:
            return f"router-discovery-rbac: {line}; the engine is asked directly"
    return "router-no-workers: the router is not ready; the engine is asked directly"
