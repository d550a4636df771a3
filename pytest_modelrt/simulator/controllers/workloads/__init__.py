"""Controllers of workloads: Deployment, ReplicaSet, LeaderWorkerSet, DaemonSet, and the claims of pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pytest_modelrt.simulator.controllers.platform import Platform, run_all
from pytest_modelrt.simulator.controllers.workloads.daemonset import DaemonSetController
from pytest_modelrt.simulator.controllers.workloads.deployment import DeploymentController
from pytest_modelrt.simulator.controllers.workloads.leaderworkerset import LeaderWorkerSetController
from pytest_modelrt.simulator.controllers.workloads.replicaset import ReplicaSetController
from pytest_modelrt.simulator.controllers.workloads.volumeclaims import VolumeClaimController


class Controller(Protocol):
    """What all of them are to their starter."""

    async def run(self) -> None:
        """Reconcile until cancelled."""


CONTROLLERS: dict[str, Callable[[Platform], Controller]] = {
    "deployments": DeploymentController,
    "replicasets": ReplicaSetController,
    "daemonsets": DaemonSetController,
    "leaderworkersets": LeaderWorkerSetController,
    "persistentvolumeclaims": VolumeClaimController,
}
"""By the plural of what they look after; each can be left out where a real one is present."""


class Workloads:
    """The workload controllers of one cluster."""

    def __init__(self, platform: Platform, without: frozenset[str] = frozenset()) -> None:
        self._controllers = [make(platform) for plural, make in CONTROLLERS.items() if plural not in without]

    async def run(self) -> None:
        """Run until cancelled; the platform's informers must be started after construction."""
        await run_all(*(controller.run() for controller in self._controllers))
