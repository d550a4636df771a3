"""Which cluster this run is on, as far as the configuration tells, without contact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_modelrt.cluster.kubeconfig import resolve
from pytest_modelrt.cluster.model import ClusterError, KubeconfigError
from pytest_modelrt.session.run import Run


@dataclass(frozen=True, slots=True)
class Target:
    """For the header and the run record."""

    text: str
    simulated: bool
    speed: float


def describe(run: Run) -> Target:
    """The cluster of this run.

    Raises:
        pytest.UsageError: the kubeconfig named cannot be used.
    """
    if run.simulated:
        settings = run.settings
        scenario = f", scenario {Path(settings.scenario).name}" if settings.scenario else ""
        return Target(f"simulated, started for this run (speed {settings.speed:g}, seed {settings.seed}{scenario})",
                      simulated=True, speed=settings.speed)  # fmt: skip
    target = run.target()
    if target.in_cluster:
        return Target("the cluster this pod runs in", simulated=False, speed=1.0)
    try:
        found = resolve(target)
    except ClusterError as error:
        raise pytest.UsageError(str(error)) from None
    kind = "simulated" if found.simulator is not None else "REAL"
    text = f"{kind}, server {found.server}, context {found.context}"
    return Target(text, simulated=found.simulator is not None, speed=found.speed)


def check_credentials(run: Run) -> None:
    """Read what the kubeconfig names, run its login plugin; no contact.

    Raises:
        pytest.UsageError: it cannot be used.
    """
    from pytest_modelrt.cluster.connection import Connection

    target = run.target()
    if run.simulated or target.in_cluster:
        return
    try:
        Connection.from_kubeconfig(resolve(target)).close()
    except KubeconfigError as error:
        raise pytest.UsageError(str(error)) from None


def on_simulator(run: Run) -> bool:
    """Whether this run is on a simulated cluster, as far as can be told without contact."""
    if run.simulated:
        return True
    try:
        return not run.target().in_cluster and resolve(run.target()).simulator is not None
    except ClusterError:
        return False


def sweep_command(run: Run) -> str:
    """What a person types to remove what this run left; empty for a cluster that ends with the run."""
    if run.simulated:
        return ""
    target = run.target()
    cluster = f" --kubeconfig {target.kubeconfig}" if target.kubeconfig is not None else ""
    context = f" --context {target.context}" if target.context else ""
    return f"modelrt sweep --run-id {run.run_id}{cluster}{context}"
