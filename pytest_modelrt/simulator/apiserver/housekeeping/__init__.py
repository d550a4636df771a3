"""Jobs a controller manager does in a real cluster, next to the store instead of over HTTPS; each can be left out."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.deletion import Deleter
from pytest_modelrt.simulator.apiserver.housekeeping.accounts import DefaultAccounts
from pytest_modelrt.simulator.apiserver.housekeeping.endpoints import EndpointsJob
from pytest_modelrt.simulator.apiserver.housekeeping.expiry import EventExpiry
from pytest_modelrt.simulator.apiserver.housekeeping.garbage import GarbageCollector
from pytest_modelrt.simulator.apiserver.housekeeping.job import Job
from pytest_modelrt.simulator.apiserver.housekeeping.namespaces import NamespaceTermination
from pytest_modelrt.simulator.apiserver.resources import Catalog
from pytest_modelrt.simulator.apiserver.store import Store
from pytest_modelrt.simulator.apiserver.writer import Writer

ALL = frozenset({"garbage-collection", "namespaces", "accounts", "endpoints", "event-expiry"})
"""Names of all jobs."""


class Housekeeping:
    """The jobs that are switched on."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        writer: Writer,
        deleter: Deleter,
        names: frozenset[str],
        speed: float,
        ca_pem: bytes,
    ) -> None:
        unknown = names - ALL
        if unknown:
            raise ValueError(
                f"unknown housekeeping jobs: {', '.join(sorted(unknown))}; known: {', '.join(sorted(ALL))}"
            )
        jobs: dict[str, Job[Any]] = {
            "garbage-collection": GarbageCollector(store, catalog, writer, deleter),
            "namespaces": NamespaceTermination(store, catalog, writer, deleter),
            "accounts": DefaultAccounts(store, catalog, writer, ca_pem.decode()),
            "endpoints": EndpointsJob(store, catalog, writer, deleter),
            "event-expiry": EventExpiry(store, speed),
        }
        self._jobs = [job for name, job in jobs.items() if name in names]

    def start(self) -> None:
        """Begin following the store."""
        for job in self._jobs:
            job.start()

    async def stop(self) -> None:
        """Stop following."""
        for job in self._jobs:
            await job.stop()
