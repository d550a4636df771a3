"""Finalizers: written only over the version of the object that was looked at."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.resources import Resource


async def _write(client: ApiClient, resource: Resource, obj: Object, finalizers: Sequence[str]) -> Object:
    """The object with these finalizers; as it was when it is gone already.

    Raises:
        ApiStatusError: it changed meanwhile (conflict), or the API server refused.
    """
    metadata = obj["metadata"]
    patch = {"metadata": {"finalizers": list(finalizers), "resourceVersion": metadata["resourceVersion"]}}
    try:
        return await client.patch(resource, metadata["name"], patch, metadata.get("namespace"))
    except ApiStatusError as error:
        if error.not_found:
            return obj
        raise


async def add_finalizer(client: ApiClient, resource: Resource, obj: Object, finalizer: str) -> Object:
    """The object, which now waits for us when it is deleted."""
    present = obj["metadata"].get("finalizers") or []
    return obj if finalizer in present else await _write(client, resource, obj, [*present, finalizer])


async def remove_finalizer(client: ApiClient, resource: Resource, obj: Object, finalizer: str) -> None:
    """The object waits for us no longer."""
    present = obj["metadata"].get("finalizers") or []
    if finalizer in present:
        await _write(client, resource, obj, [entry for entry in present if entry != finalizer])
