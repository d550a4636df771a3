"""Events about pods and nodes; repetitions raise a count instead of making new objects."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import aiohttp

from pytest_modelrt.clock import Clock, utc_now
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.resources import EVENTS

log = logging.getLogger(__name__)

_MOST_MESSAGE = 1024
_QUIET_SECONDS = 30.0
"""Repetitions are written at most so often (cluster seconds); the count catches up."""


def timestamp() -> str:
    """Now, as objects state it: RFC 3339 in whole seconds."""
    return utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class _Seen:
    name: str
    count: int
    written: float


class EventRecorder:
    """Records what happens to objects, as one component of one host."""

    def __init__(self, client: ApiClient, clock: Clock, component: str) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._seen: dict[tuple[str, str, str], _Seen] = {}
        self._number = 0

    async def record(
        self, obj: Object, kind: str, reason: str, message: str, *, host: str = "", field_path: str = ""
    ) -> None:
        """Record an event of ``kind`` ``Normal`` or ``Warning``; trouble with the API is logged, not raised."""
        key = (obj["metadata"]["uid"], reason, message)
        seen = self._seen.get(key)
        try:
            if seen is None:
                await self._create(key, obj, kind, reason, message[:_MOST_MESSAGE], host, field_path)
                return
            seen.count += 1
            if self._clock.monotonic() - seen.written >= _QUIET_SECONDS:
                seen.written = self._clock.monotonic()
                patch = {"count": seen.count, "lastTimestamp": timestamp()}
                await self._client.patch(EVENTS, seen.name, patch, obj["metadata"].get("namespace", "default"))
        except (ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
            self._seen.pop(key, None)
            log.debug("event %s about %s not recorded: %s", reason, obj["metadata"]["name"], error)

    def forget(self, uid: str) -> None:
        """The object is gone: drop what is remembered about it."""
        for key in [key for key in self._seen if key[0] == uid]:
            del self._seen[key]

    async def _create(
        self, key: tuple[str, str, str], obj: Object, kind: str, reason: str, message: str, host: str, field_path: str
    ) -> None:
        metadata = obj["metadata"]
        self._number += 1
        name = f"{metadata['name'][:220]}.{int(utc_now().timestamp() * 1e6) + self._number:x}"
        self._seen[key] = _Seen(name, 1, self._clock.monotonic())
        involved = {"apiVersion": obj.get("apiVersion", "v1"), "kind": obj.get("kind", "Pod"), "name": metadata["name"]}
        involved |= {"uid": metadata["uid"], "resourceVersion": metadata.get("resourceVersion", "")}
        namespace = metadata.get("namespace", "default")
        if "namespace" in metadata:
            involved["namespace"] = namespace
        if field_path:
            involved["fieldPath"] = field_path
        source = {"component": self._component} | ({"host": host} if host else {})
        now = timestamp()
        body = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": source,
            "reportingComponent": self._component,
            "reportingInstance": host,
        }
        await self._client.create(EVENTS, body, namespace)
