"""Finds models and runtimes: in the informers' caches, else with a live request."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_modelrt.simulator.client import ApiClient, Object
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.resources import (
    BASE_MODELS,
    CLUSTER_BASE_MODELS,
    CLUSTER_SERVING_RUNTIMES,
    SERVING_RUNTIMES,
    Resource,
)


class Catalog:
    """Models and runtimes as InferenceServices refer to them: namespaced ones hide cluster-scoped ones."""

    def __init__(self, platform: Platform) -> None:
        self._client: ApiClient = platform.client.as_component("ome-controller-manager")
        self._informers = {
            resource: platform.informers.of(resource)
            for resource in (BASE_MODELS, CLUSTER_BASE_MODELS, SERVING_RUNTIMES, CLUSTER_SERVING_RUNTIMES)
        }

    async def model(self, name: str, namespace: str) -> Object | None:
        """The model a service in ``namespace`` means by ``name``."""
        return await self._find(BASE_MODELS, CLUSTER_BASE_MODELS, name, namespace)

    async def runtime(self, name: str, namespace: str) -> Object | None:
        """The runtime a service in ``namespace`` means by ``name``; its kind is not consulted."""
        return await self._find(SERVING_RUNTIMES, CLUSTER_SERVING_RUNTIMES, name, namespace)

    def runtimes(self, namespace: str) -> tuple[list[Object], list[Object]]:
        """All runtimes of the namespace, and all of the cluster."""
        local = [r for r in self._all(SERVING_RUNTIMES) if r["metadata"]["namespace"] == namespace]
        return local, list(self._all(CLUSTER_SERVING_RUNTIMES))

    def _all(self, resource: Resource) -> Iterable[Object]:
        return self._informers[resource].cache.values()

    async def _find(self, local: Resource, shared: Resource, name: str, namespace: str) -> Object | None:
        cached = self._informers[local].get(name, namespace) or self._informers[shared].get(name)
        if cached is not None:
            return cached
        # a manifest applied a moment ago may not have reached the cache yet
        return await self._client.find(local, name, namespace) or await self._client.find(shared, name)
