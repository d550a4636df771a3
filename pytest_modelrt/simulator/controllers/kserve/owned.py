"""Creates, updates and removes the children of a service, and tells about it in events."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.controllers.ome.applier import contains
from pytest_modelrt.simulator.controllers.platform import Events, Platform, controller_uid
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.resources import DEPLOYMENTS, HTTP_ROUTES, SECRETS, SERVICES, Resource

_GO_TYPES = {
    DEPLOYMENTS: "v1.Deployment",
    SERVICES: "v1.Service",
    SECRETS: "v1.Secret",
    HTTP_ROUTES: "v1.HTTPRoute",
}
"""What events call them."""


class Owned:
    """Children as last seen by informers, and what was wanted of them last."""

    def __init__(self, platform: Platform, client: ApiClient, events: Events, resources: Sequence[Resource]) -> None:
        self._client = client
        self._events = events
        self._informers: dict[Resource, Informer] = {
            resource: platform.informers.of(resource) for resource in resources
        }
        self._wanted: dict[tuple[str, str], Object] = {}

    def known(self, resource: Resource, body: Object) -> Object | None:
        """The child as last seen."""
        return self._informers[resource].get(body["metadata"]["name"], body["metadata"]["namespace"])

    def forget(self, uid: str) -> None:
        """The owner with this UID is gone."""
        for key in [key for key in self._wanted if key[0] == uid]:
            del self._wanted[key]

    async def ensure_once(self, owner: Object, resource: Resource, body: Object) -> None:
        """Create the child unless it is there; never change it."""
        if self.known(resource, body) is None:
            await self._create(owner, resource, body)

    async def apply(self, owner: Object, resource: Resource, body: Object) -> Object:
        """Create the child or replace what differs; returns it as it is.

        Raises:
            ApiStatusError: refused, or it belongs to somebody else.
        """
        known = self.known(resource, body)
        if known is None:
            created = await self._create(owner, resource, body)
            if created is not None:
                self._remember(owner, resource, body)
                return created
            known = await self._client.get(resource, body["metadata"]["name"], body["metadata"]["namespace"])
        what = f"{_GO_TYPES[resource]} {body['metadata']['namespace']}/{body['metadata']['name']}"
        if controller_uid(known) != owner["metadata"]["uid"]:
            name = f"{owner['metadata']['namespace']}/{owner['metadata']['name']}"
            text = f"failed to update {what}: it is not controlled by v1alpha1.LLMInferenceService {name}"
            raise ApiStatusError(409, "NotControlled", text)
        before = self._wanted.get(self._key(owner, resource), body)
        if before == body and contains(known, body):
            return known
        metadata = {**body["metadata"], "resourceVersion": known["metadata"]["resourceVersion"]}
        kept = {"annotations": known["metadata"].get("annotations") or {}}
        changed: Object = {**body, "metadata": {**kept, **metadata}}
        if resource is SERVICES:
            changed["spec"] = {**body["spec"], "clusterIP": known["spec"].get("clusterIP")}
        written = await self._client.replace(resource, changed)
        self._remember(owner, resource, body)
        await self._events.record(owner, "Normal", "Updated", f"Updated {what}")
        return written

    async def remove(self, owner: Object, resource: Resource, body: Object) -> None:
        """Delete the child if it is there and the owner's."""
        known = self.known(resource, body)
        if known is None or controller_uid(known) != owner["metadata"]["uid"]:
            return
        metadata = body["metadata"]
        try:
            await self._client.delete(resource, metadata["name"], metadata["namespace"])
        except ApiStatusError as error:
            if not error.not_found:
                raise
            return
        what = f"{_GO_TYPES[resource]} {metadata['namespace']}/{metadata['name']}"
        await self._events.record(owner, "Normal", "Deleted", f"Deleted {what}")

    async def _create(self, owner: Object, resource: Resource, body: Object) -> Object | None:
        """The created child; None when it is there already."""
        try:
            created = await self._client.create(resource, body)
        except ApiStatusError as error:
            if error.reason != "AlreadyExists":
                raise
            return None
        metadata = body["metadata"]
        what = f"{_GO_TYPES[resource]} {metadata['namespace']}/{metadata['name']}"
        await self._events.record(owner, "Normal", "Created", f"Created {what}")
        return created

    def _remember(self, owner: Object, resource: Resource, body: Object) -> None:
        self._wanted[self._key(owner, resource)] = body

    @staticmethod
    def _key(owner: Object, resource: Resource) -> tuple[str, str]:
        return owner["metadata"]["uid"], resource.plural
