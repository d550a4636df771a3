"""A simulated cluster that outlives single runs, and what can be seen on it from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import INFERENCE_SERVICE, ClusterTarget, Ref
from pytest_modelrt.cluster.sweep import Wanted, find

REAL_SECONDS = 120.0
"""Patience of these tests: generous, a machine may be busy."""


@dataclass(frozen=True)
class Live:
    """A running simulated cluster."""

    kubeconfig: Path
    cluster: Cluster

    @classmethod
    def at(cls, kubeconfig: Path) -> Live:
        return cls(kubeconfig, Cluster.connect(ClusterTarget(kubeconfig=kubeconfig)))

    def ours(self) -> list[str]:
        """Everything any run of ours left."""
        return [str(found.ref) for found in find(self.cluster, Wanted())]

    def await_service(self, name: str) -> None:
        """Wait until that InferenceService is there."""
        deadline = Deadline(self.cluster.clock, REAL_SECONDS * self.cluster.clock.speed)
        self.cluster.wait_until(Ref(INFERENCE_SERVICE, name, name), lambda obj: obj is not None, deadline)

    def await_nothing_of_ours(self) -> None:
        """Wait until nothing of ours is left; pods may need a moment after their namespace is gone."""
        deadline = Deadline(self.cluster.clock, REAL_SECONDS * self.cluster.clock.speed)
        for found in find(self.cluster, Wanted()):
            self.cluster.wait_gone(found.ref, deadline, uid=found.uid)
