"""Carries out a scenario's timeline: events, status patches and log lines for objects as they appear."""

from __future__ import annotations

import asyncio
import functools
import logging
from fnmatch import fnmatchcase

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator import resources
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.nodes.events import EventRecorder
from pytest_modelrt.simulator.nodes.kubelet import Kubelet
from pytest_modelrt.simulator.resources import Resource
from pytest_modelrt.simulator.scenario import Injection, Scenario

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


class Injector:
    """Watches the kinds the timeline names and acts on matching objects, each once per injection."""

    def __init__(self, client: ApiClient, clock: Clock, scenario: Scenario, kubelet: Kubelet) -> None:
        self._client = client
        self._clock = clock
        self._timeline = scenario.file.timeline
        self._kubelet = kubelet
        self._signals = scenario.signals
        self._events = EventRecorder(client, clock, "modelrt-scenario")
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Act until cancelled."""
        kinds = {_split(injection.object)[0] for injection in self._timeline}
        async with asyncio.TaskGroup() as group:
            self._group = group
            for resource in (r for r in vars(resources).values() if isinstance(r, Resource) and r.kind in kinds):
                informer = Informer(self._client, resource)
                informer.on_change(functools.partial(self._seen, resource))
                group.create_task(informer.run(), name=f"timeline-{resource.plural}")

    def _seen(self, resource: Resource, kind: str, obj: Object, _old: Object | None) -> None:
        if kind != "ADDED" or self._group is None:
            return
        for injection in self._timeline:
            if _matches(injection, obj, resource):
                self._group.create_task(self._later(injection, obj, resource), name="timeline")

    async def _later(self, injection: Injection, obj: Object, resource: Resource) -> None:
        await self._clock.asleep(injection.at)
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        self._signals.note("", f"timeline: {resource.kind} {name}")
        try:
            if injection.patch is not None:
                await self._client.patch(resource, name, dict(injection.patch), namespace)
            if injection.delete:
                await self._client.delete(resource, name, namespace)
            if injection.status is not None:
                await self._client.patch_status(resource, name, dict(injection.status), namespace)
            if injection.event is not None:
                told = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
                what = injection.event
                await self._events.record(
                    told, str(what.get("type", "Warning")), str(what.get("reason", "")), str(what.get("message", ""))
                )
        except ApiStatusError as error:
            if not error.not_found:
                log.warning("timeline: %s %s: %s", resource.kind, name, error)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("timeline: %s %s: %s", resource.kind, name, error)
        if injection.log is not None:
            await self._write_log(injection.log, namespace or "", name, injection.container)

    async def _write_log(self, text: str, namespace: str, name: str, container: str | None) -> None:
        """Into the log of a container of the pod, once it runs."""
        while (worker := self._kubelet.find(namespace, name)) is not None:
            chosen = worker.containers[0] if container is None else worker.container(container)
            if chosen is not None and chosen.output is not None:
                chosen.output.write(text)
                return
            await asyncio.sleep(_RETRY_SECONDS)


def _split(pattern: str) -> tuple[str, str, str]:
    """Kind, namespace pattern and name pattern of ``Kind/namespace/name`` or ``Kind/name``."""
    kind, _, rest = pattern.partition("/")
    namespace, _, name = rest.rpartition("/")
    return kind, namespace or "*", name or "*"


def _matches(injection: Injection, obj: Object, resource: Resource) -> bool:
    kind, namespace, name = _split(injection.object)
    metadata = obj["metadata"]
    return (
        kind == resource.kind
        and fnmatchcase(metadata["name"], name)
        and fnmatchcase(metadata.get("namespace", ""), namespace)
    )
