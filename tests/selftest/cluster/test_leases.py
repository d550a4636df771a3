from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_modelrt.cluster import leases
from pytest_modelrt.cluster.model import LEASE, MANAGED_BY, MANAGER, RUN_ID, Ownership

from .conftest import Connected
from .scripted import Answer, Asked, status

OWNER = Ownership("r-1", "llama", "2030-01-01T00:00:00Z")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def lease(
    renewed: str = "2026-01-01T11:59:00.000000Z", seconds: object = 30, run: str | None = "r-dead"
) -> dict[str, Any]:
    labels = {MANAGED_BY: MANAGER, RUN_ID: run} if run else {}
    metadata = {"name": "gpu8", "namespace": "default", "uid": "u", "resourceVersion": "41", "labels": labels}
    spec = {"holderIdentity": "r-dead/x", "renewTime": renewed, "leaseDurationSeconds": seconds}
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}


def test_a_taker_that_comes_second_gets_nothing(connect: Callable[..., Connected]) -> None:
    """Two takers read the same lapsed lease; the version both send lets the server refuse the later one."""

    def script(asked: Asked) -> Answer:
        if asked.method == "POST":
            return status(409, "AlreadyExists", 'leases "gpu8" already exists', name="gpu8")
        if asked.method == "PATCH" and asked.body["metadata"].get("resourceVersion") == "41":
            return status(409, "Conflict", "the object has been modified", name="gpu8")
        return Answer(body=lease())

    cluster, api = connect(script)
    assert leases.acquire(cluster, "gpu8", OWNER) is None
    assert api.asked[-1].method == "PATCH"


@pytest.mark.parametrize(
    ("found", "lapsed"),
    [
        (lease(), True),
        (lease(seconds=60), False),
        (lease(seconds=61), False),
        (lease(run=None), False),
        (lease(renewed="never"), False),
        (lease(seconds=None), False),
        ({"metadata": lease()["metadata"]}, False),
    ],
)
def test_only_a_lease_of_ours_lapses_and_only_after_its_duration(found: dict[str, Any], lapsed: bool) -> None:
    assert leases.has_lapsed(found, NOON) is lapsed
