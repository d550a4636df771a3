"""Everything the platform shows about a case, in one go, before cleanup takes it away."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pytest_modelrt.clock import utc_now
from pytest_modelrt.cluster.model import (
    DEPLOYMENT,
    EVENT,
    POD,
    REPLICA_SET,
    ClusterError,
    Object,
    Ref,
)
from pytest_modelrt.diagnosis.model import Evidence, PodSnapshot
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.ome import pods
from pytest_modelrt.stacks.ome.context import Context, dig, name_of
from pytest_modelrt.stacks.ome.names import AGENT_LABEL, CONTROLLER_LABEL, ENGINE_CONTAINER, SYSTEM_NAMESPACE
from pytest_modelrt.stacks.ome.node_entries import NodeEntries, labels_of, read_entries
from pytest_modelrt.stacks.protocol import StackFailure

T = TypeVar("T")
LOG_LINES = 2000
"""Lines of a container's log that are read; the first traceback of a crash is well within."""
CLOCKS_APART = 5
"""Seconds by which the clocks of this machine and the cluster may differ."""
AGENTS_READ = 4
"""Agents whose logs are read: those of failed nodes first; all of them would be one long call per node."""


@dataclass(slots=True)
class Collector:
    """Reads; what cannot be read is left out, and said in ``missing``."""

    context: Context
    crash_logs: Mapping[str, str] = field(default_factory=dict)
    """Pod name -> log of a crash, as read when it was seen."""
    missing: list[str] = field(default_factory=list)
    agents_since: int | None = None
    """Real seconds of the agents' logs that count; None: since the model was created."""
    case_age: int = 0
    """Real seconds since the case began: what was logged since is its own, whatever time the cluster's clock shows."""

    def collect(self, failure: StackFailure, idle_seconds: float | None) -> Evidence:
        """The evidence; ``waited``, exchanges and probe problem are the caller's."""
        names, cluster = self.context.names, self.context.cluster
        namespace = names.namespace.name
        nodes: list[Object] = self._try(cluster.nodes, [])
        entries = self._try(lambda: read_entries(cluster, names.model.name), NodeEntries())
        in_service = failure.stage in (Stage.SERVICE, Stage.PROBE)
        service_pods: list[Object] = self._try(lambda: cluster.list(POD, namespace), []) if in_service else []
        died = failure.stage is Stage.PROBE or failure.reason == "crash"
        model, service = self._get(names.model), self._get(names.service)
        self.agents_since = self.agents_since or max(self.case_age, _age(model))
        return Evidence(
            stage=failure.stage,
            waited=0.0,
            reason=failure.reason,
            detail=failure.detail,
            model=model,
            runtime=self._get(names.runtime),
            service=service,
            events=tuple(self._events(in_service)),
            pods=tuple(self._snapshot(pod, died=died) for pod in service_pods),
            deployments=tuple(self._try(lambda: cluster.list(DEPLOYMENT, namespace), [])) if in_service else (),
            replica_sets=tuple(self._try(lambda: cluster.list(REPLICA_SET, namespace), [])) if in_service else (),
            node_entries=entries.own,
            node_labels=labels_of(nodes, names.model.name),
            nodes=tuple(nodes),
            agents=tuple(agents := self._system_pods(AGENT_LABEL)),
            agent_logs=self._agent_logs(agents, entries) if failure.stage in (Stage.MODEL, Stage.RUNTIME) else {},
            controllers=tuple(controllers := self._system_pods(CONTROLLER_LABEL)),
            controller_log=self._controller_log(controllers, max(self.case_age, _age(service))) if in_service else "",
            other_downloads={model: tuple(sorted(on)) for model, on in entries.others.items()},
            nodes_wanted=self.context.nodes_wanted,
            idle_seconds=idle_seconds,
            history=tuple(self.context.history),
        )

    def _events(self, in_service: bool) -> list[Object]:
        names, cluster = self.context.names, self.context.cluster
        if in_service:
            return self._try(lambda: cluster.list(EVENT, names.namespace.name), [])
        model = names.model
        return self._try(lambda: cluster.events(namespace="default", name=model.name, kind=model.resource.kind), [])

    def _snapshot(self, pod: Object, *, died: bool) -> PodSnapshot:
        """The pod with its logs; ``died``: it may have restarted a moment ago, before its status says so."""
        namespace, name = self.context.names.namespace.name, name_of(pod)
        current, previous = {}, {}
        for status in pods.container_statuses(pod):
            container = str(status.get("name"))
            if dig(status, "state", "waiting") is None or status.get("restartCount"):
                current[container] = self._log(namespace, name, container)
            if status.get("restartCount") or died:
                previous[container] = self._log(namespace, name, container, previous=True)
        if name in self.crash_logs and not any(previous.values()):
            previous[ENGINE_CONTAINER] = self.crash_logs[name]
        return PodSnapshot(pod, logs=current, previous_logs=previous)

    def _log(
        self,
        namespace: str,
        pod: str,
        container: str | None = None,
        *,
        previous: bool = False,
        since: int | None = None,
    ) -> str:
        read = self.context.cluster.logs
        return self._try(
            lambda: read(
                namespace, pod, container, previous=previous, tail_lines=LOG_LINES, limit_bytes=1 << 19,
                since_seconds=since,
            ),
            "",
        )  # fmt: skip

    def _system_pods(self, selector: str) -> list[Object]:
        return self._try(lambda: self.context.cluster.list(POD, SYSTEM_NAMESPACE, labels=selector), [])

    def _agent_logs(self, agents: list[Object], entries: NodeEntries) -> dict[str, str]:
        """Lines that name the model, from the agents most likely to say something."""
        rank = {"Failed": 0, "Updating": 1, "Ready": 3}

        def order(agent: Object) -> int:
            return rank.get(str(entries.own.get(str(dig(agent, "spec", "nodeName")), {}).get("status")), 2)

        found = {}
        for agent in sorted(agents, key=order)[:AGENTS_READ]:
            log = self._log(SYSTEM_NAMESPACE, name_of(agent), since=self.agents_since)
            lines = lines_about(log, self.context.names.model.name, self.context.case.hub_id)
            if lines:
                found[str(dig(agent, "spec", "nodeName") or name_of(agent))] = lines
        return found

    def _controller_log(self, controllers: list[Object], since: int) -> str:
        logs = (self._log(SYSTEM_NAMESPACE, name_of(pod), since=since) for pod in controllers)
        return "\n".join(filter(None, (lines_about(log, self.context.names.service.name) for log in logs)))

    def _get(self, ref: Ref) -> Object | None:
        return self._try(lambda: self.context.cluster.get(ref), None)

    def _try(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except ClusterError as error:
            self.missing.append(str(error))
            return otherwise


def lines_about(log: str, *names: str) -> str:
    """Lines that hold one of ``names`` as a whole, or a component of it: ``qwen3-4b`` is not ``qwen3-4b-instruct``."""
    ends = r"(?=-(?:engine|router|decoder)\b)|(?!-?\w|\.\w)"
    whole = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?:{ends})" for name in names))
    return "\n".join(line for line in log.splitlines() if whole.search(line))


def _age(obj: Object | None) -> int:
    """Real seconds since the object was created, with a margin for clocks that differ; 0 where there is none.

    Logs outlive objects: what they say about an earlier one of that name is no evidence.
    """
    created = dig(obj, "metadata", "creationTimestamp")
    if not created:
        return 0
    seconds = (utc_now() - datetime.fromisoformat(str(created).replace("Z", "+00:00"))).total_seconds()
    return max(0, math.ceil(seconds)) + CLOCKS_APART
