"""What one pytest process knows about the run it is part of."""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.cluster.model import ClusterTarget
from pytest_modelrt.journal.rundir import RUNS, new_run_id
from pytest_modelrt.options import IN_CLUSTER, Settings
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Campaign, Plan, Tier
from pytest_modelrt.plan.problems import ConfigError

WORKER_INPUT = "modelrt"
"""Key of our part of xdist's ``workerinput``."""


@dataclass(slots=True)
class Run:
    """Settings, plan and places; the same in every process of a run but for ``worker``."""

    settings: Settings
    plan: Plan
    campaign: Campaign
    run_id: str
    directory: Path
    """``reports/runs/<run-id>``; the controller creates it."""
    kubeconfig: Path | None
    """Of the simulated cluster this run starts; None: the user named a cluster."""
    worker: str = "main"
    interrupted: threading.Event = field(default_factory=threading.Event)

    @property
    def reports(self) -> Path:
        """Where pages go."""
        return self.directory.parent.parent

    @property
    def simulated(self) -> bool:
        """Whether this run starts its own cluster."""
        return self.kubeconfig is not None

    @property
    def uses_leases(self) -> bool:
        """Whether other runs on the cluster are reckoned with; nobody shares a cluster that this run starts."""
        return self.settings.leases == "on" or (self.settings.leases is None and not self.simulated)

    def window(self, workers: int) -> int:
        """How many cases ahead models are downloaded; 0: none."""
        return 8 * workers if self.settings.prefetch is None else self.settings.prefetch

    def target(self) -> ClusterTarget:
        """Which cluster to connect to."""
        if self.kubeconfig is not None:
            return ClusterTarget(kubeconfig=self.kubeconfig)
        named, context = self.settings.kubeconfig, self.settings.context
        if named == IN_CLUSTER:
            return ClusterTarget(in_cluster=True)
        if named is None:
            return ClusterTarget(kubeconfig=Path.home() / ".kube" / "config", context=context)
        if named == os.environ.get("KUBECONFIG"):
            return ClusterTarget(context=context)
        return ClusterTarget(kubeconfig=Path(named), context=context)


RUN = pytest.StashKey[Run]()


def open_run(config: pytest.Config, settings: Settings) -> Run:
    """Read plan and campaign, and settle names and places.

    Raises:
        pytest.UsageError: the config tree has problems; all of them, each with file and line.
    """
    try:
        plan, campaign = load_plan(settings.config), load_campaign(settings.config)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    campaign = _overridden(campaign, settings)
    given: dict[str, Any] = getattr(config, "workerinput", {}).get(WORKER_INPUT, {})
    run_id = given.get("run_id") or settings.run_id or new_run_id()
    reports = settings.reports or config.rootpath / campaign.reports
    directory = Path(given.get("directory") or reports / RUNS / run_id).absolute()
    return Run(
        settings=settings,
        plan=plan,
        campaign=campaign,
        run_id=run_id,
        directory=directory,
        kubeconfig=None if settings.cluster_named else simulator_directory(run_id) / "kubeconfig",
        worker=getattr(config, "workerinput", {}).get("workerid", "main"),
    )


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of xdist."""
    return hasattr(config, "workerinput")


def _overridden(campaign: Campaign, settings: Settings) -> Campaign:
    unknown = sorted(set(settings.tier) - {tier.name for tier in campaign.tiers})
    if unknown:
        known = ", ".join(tier.name for tier in campaign.tiers)
        raise pytest.UsageError(f"--modelrt-tier: no tier {', '.join(unknown)} in campaign.yaml; there are: {known}")
    tiers = tuple(Tier(t.name, t.min_gpus, t.max_gpus, settings.tier.get(t.name, t.limit)) for t in campaign.tiers)
    changes: dict[str, Any] = {"tiers": tiers}
    for name in ("gpu_budget", "nodes_wanted", "download_nodes", "repair"):
        value = getattr(settings, name)
        if value is not None:
            changes[name] = value
    return replace(campaign, **changes)


def simulator_directory(run_id: str) -> Path:
    """Where the simulated cluster of a run keeps its files: not with the reports, it holds keys."""
    return Path(tempfile.gettempdir()).absolute() / f"modelrt-{run_id}"
