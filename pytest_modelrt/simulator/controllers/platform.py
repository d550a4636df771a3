"""What every controller shares: connection, clock, informers, events."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.clock import Clock, utc_now
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.controllers.profile import CURRENT, Profile
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.resources import EVENTS, Resource

log = logging.getLogger(__name__)


def timestamp() -> str:
    """Now, as objects state it: RFC 3339 in whole seconds."""
    return utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """A reference that makes garbage collection delete the object that carries it with ``owner``."""
    metadata = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {**reference, "controller": True, "blockOwnerDeletion": True} if controller else reference


def controller_uid(obj: Object) -> str:
    """UID of the controlling owner, empty if there is none."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference["uid"])
    return ""


def is_deleting(obj: Object) -> bool:
    """Whether deletion of the object was requested."""
    return "deletionTimestamp" in obj["metadata"]


class Informers:
    """One informer per resource, shared by all controllers of this process."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._informers: dict[Resource, Informer] = {}
        self._started: dict[Resource, asyncio.Task[None]] = {}

    def of(self, resource: Resource) -> Informer:
        """The informer of a resource; not running before ``start``."""
        if resource not in self._informers:
            self._informers[resource] = Informer(self._client, resource)
        return self._informers[resource]

    async def start(self) -> None:
        """Run all informers asked for so far and wait until each holds the current state."""
        for resource, informer in self._informers.items():
            if resource not in self._started:
                self._started[resource] = asyncio.create_task(informer.run(), name=f"informer-{resource.plural}")
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))

    async def stop(self) -> None:
        """Stop them all."""
        for task in self._started.values():
            task.cancel()
        await asyncio.gather(*self._started.values(), return_exceptions=True)
        self._started.clear()


class Events:
    """Records events of one component; repetitions raise the count of the first one."""

    def __init__(self, client: ApiClient, component: str) -> None:
        self._client = client
        self._component = component
        self._seen: dict[tuple[str, str, str], tuple[str, int]] = {}

    async def record(self, obj: Object, kind: str, reason: str, message: str) -> None:
        """Record that something happened to ``obj``; ``kind`` is ``Normal`` or ``Warning``. Never raises API errors."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "default")
        key = (metadata["uid"], reason, message)
        name, count = self._seen.get(key, ("", 0))
        try:
            if count:
                patch = {"count": count + 1, "lastTimestamp": timestamp()}
                await self._client.patch(EVENTS, name, patch, namespace)
            else:
                digest = hashlib.sha256("\x1f".join(key).encode()).hexdigest()[:16]
                name = f"{metadata['name'][:230]}.{digest}"
                await self._client.create(EVENTS, self._event(obj, name, kind, reason, message), namespace)
            self._seen[key] = (name, count + 1)
        except ApiStatusError as error:
            self._seen.pop(key, None)
            log.debug("event %s about %s not recorded: %s", reason, metadata["name"], error)

    def _event(self, obj: Object, name: str, kind: str, reason: str, message: str) -> Object:
        metadata = obj["metadata"]
        now = timestamp()
        involved = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": metadata["name"]}
        involved |= {"uid": metadata["uid"], "resourceVersion": metadata.get("resourceVersion", "")}
        if "namespace" in metadata:
            involved["namespace"] = metadata["namespace"]
        return {
            "metadata": {"name": name},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
        }


@dataclass(slots=True)
class Platform:
    """The surroundings of a controller."""

    client: ApiClient
    clock: Clock
    profile: Profile = CURRENT
    informers: Informers = field(init=False)
    started: float = field(init=False)
    """Cluster time of the start."""

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()
        self.informers = Informers(self.client.as_component("modelrt-informers"))

    def events(self, component: str) -> Events:
        """A recorder that names ``component`` as the source."""
        return Events(self.client.as_component(component), component)


async def run_all(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run until one fails or the caller is cancelled; then all end."""
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)
