"""Brings the children of services to their wanted state: create, or patch what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_modelrt.simulator.client import ApiStatusError, Object, PatchKind
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.resources import DEPLOYMENTS, LEADER_WORKER_SETS, Resource


class Applier:
    """Knows the children from informers, so that nothing is written that is there already."""

    def __init__(self, platform: Platform, resources: Sequence[Resource]) -> None:
        self._client = platform.client.as_component("ome-controller-manager")
        self._profile = platform.profile
        self._informers: dict[Resource, Informer] = {
            resource: platform.informers.of(resource) for resource in resources
        }

    def known(self, resource: Resource, name: str, namespace: str) -> Object | None:
        """A child as last seen."""
        return self._informers[resource].get(name, namespace)

    async def apply(self, resource: Resource, body: Object) -> None:
        """Create the object, or set the fields of ``body`` that differ."""
        metadata = body["metadata"]
        known = self.known(resource, metadata["name"], metadata["namespace"])
        if known is None:
            try:
                await self._client.create(resource, body)
                return
            except ApiStatusError as error:
                if error.reason != "AlreadyExists":
                    raise
            known = await self._client.get(resource, metadata["name"], metadata["namespace"])
        if contains(known, body):
            return
        patch = {**body, "metadata": {name: value for name, value in metadata.items() if name != "namespace"}}
        if resource is DEPLOYMENTS and not self._profile.keeps_replicas:
            patch["spec"] = {**patch["spec"], "replicas": 1}
        kind: PatchKind = "merge" if resource is LEADER_WORKER_SETS else "strategic"
        await self._client.patch(resource, metadata["name"], patch, metadata["namespace"], kind=kind)


def contains(known: Any, wanted: Any) -> bool:
    """Whether every field of ``wanted`` has its value in ``known``."""
    if isinstance(wanted, Mapping):
        return isinstance(known, Mapping) and all(contains(known.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(known, list) or len(known) != len(wanted):
            return not wanted and not known
        return all(map(contains, known, wanted))
    return bool(known == wanted)
