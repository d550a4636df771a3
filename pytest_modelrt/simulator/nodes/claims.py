"""Claims that pods mount, as far as scheduling goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.informer import Key


def claims_of(pod: Object) -> Iterator[Key]:
    """The claims a pod mounts, as namespace and name."""
    for volume in pod["spec"].get("volumes") or []:
        source = volume.get("persistentVolumeClaim")
        if source:
            yield pod["metadata"]["namespace"], source["claimName"]


def claim_trouble(pod: Object, claims: Mapping[Key, Object]) -> str:
    """Why a pod's claims keep it from every node, in the scheduler's words; empty when they do not."""
    for key in claims_of(pod):
        claim = claims.get(key)
        if claim is None:
            return f'persistentvolumeclaim "{key[1]}" not found'
        if "deletionTimestamp" in claim["metadata"]:
            return f'persistentvolumeclaim "{key[1]}" is being deleted'
    return ""
