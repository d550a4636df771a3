"""Ties one case attempt to its cluster, stack, probe and journal, and closes it with its verdict."""

from __future__ import annotations

import contextlib
import json
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_modelrt.clock import ScaledClock, rfc3339, utc_now
from pytest_modelrt.cluster.model import ApiError, ClusterError, Ownership
from pytest_modelrt.diagnosis.model import Evidence
from pytest_modelrt.journal.files import atomic_write
from pytest_modelrt.journal.model import Verdict
from pytest_modelrt.markers import overrides
from pytest_modelrt.plan.model import Campaign, Case
from pytest_modelrt.redaction import redact_value
from pytest_modelrt.reporting.junit import properties
from pytest_modelrt.session.outcomes import VERDICT
from pytest_modelrt.session.placement import STALLED, nodes_of, was_withdrawn
from pytest_modelrt.session.run import RUN, Run
from pytest_modelrt.stacks.protocol import Observe, Stack, StackRequest
from pytest_modelrt.stages.life import CaseLife, Surroundings

if TYPE_CHECKING:
    import httpx

    from pytest_modelrt.cluster.cluster import Cluster
    from pytest_modelrt.journal.writer import JournalWriter

LIFETIME = timedelta(hours=12)
"""After this a stranger's sweep may delete what we created."""

HUB_TOKEN = ("ome", "hf-token")
"""Namespace and name of the Secret with the hub's token, which an engine or agent may write into its log."""

_CLUSTER = pytest.StashKey["Cluster"]()
_JOURNAL = pytest.StashKey["JournalWriter"]()


def journal_of(config: pytest.Config) -> JournalWriter:
    """This process's journal; opened when first asked for."""
    from pytest_modelrt.journal.writer import JournalWriter

    if _JOURNAL not in config.stash:
        run = config.stash[RUN]
        config.stash[_JOURNAL] = JournalWriter(run.directory, run.worker)
    return config.stash[_JOURNAL]


def connect(run: Run) -> Cluster:
    """The cluster of this run.

    Raises:
        ClusterError: no such cluster, or it does not answer.
    """
    from pytest_modelrt.cluster.cluster import Cluster

    cluster = Cluster.connect(run.target(), run_id=run.run_id)
    with contextlib.suppress(ApiError):
        cluster.learn_secret(*HUB_TOKEN)
    return cluster


def cluster_of(config: pytest.Config) -> Cluster:
    """This process's connection, made when first asked for; one that failed is tried again the next time.

    Raises:
        ClusterError: no such cluster, or it does not answer.
    """
    if _CLUSTER not in config.stash:
        cluster = connect(config.stash[RUN])
        config.stash[_CLUSTER] = cluster
        config.add_cleanup(cluster.close)
    return config.stash[_CLUSTER]


def new_life(request: pytest.FixtureRequest, case: Case) -> CaseLife:
    """The case attempt behind one test item."""
    from pytest_modelrt.probes import probe_for

    config = request.config
    run = config.stash[RUN]
    campaign = replace(run.campaign, **overrides(request.node))

    def open_surroundings(observe: Observe) -> Surroundings:
        cluster = cluster_of(config)
        stack = make_stack(config, cluster, case, campaign, observe)
        return Surroundings(stack, cluster.clock, lambda *where: tunnel(cluster, *where), lambda: cluster.trouble)

    return CaseLife(
        case,
        open_surroundings=open_surroundings,
        probe=lambda: probe_for(case.probe),
        journal=journal_of(config),
        clock=ScaledClock(run.settings.speed if run.simulated else 1.0),
        deadlines=campaign.deadlines,
        interrupted=run.interrupted,
        keep=lambda evidence: keep_evidence(run, case, evidence),
        worker=run.worker,
        spent=(STALLED,) if was_withdrawn(config, case) else (),
    )


def make_stack(config: pytest.Config, cluster: Cluster, case: Case, campaign: Campaign, observe: Observe) -> Stack:
    """The stack for one case attempt."""
    run = config.stash[RUN]
    owner = Ownership(run.run_id, case.resource_name, rfc3339(utc_now() + LIFETIME))
    ahead = run.settings.prefetch != 0
    nodes = nodes_of(config, case) if ahead else ()
    request = StackRequest(case, cluster, campaign, run.settings.config, run.directory, owner, observe, ahead, nodes)
    stack: Stack = config.hook.pytest_modelrt_make_stack(config=config, request=request)
    return stack


def remove_case(config: pytest.Config, cluster: Cluster, case: Case) -> None:
    """Remove what a crashed case left, in the order of its cleanup.

    Raises:
        ClusterError: something stays; says what.
    """
    stack = make_stack(config, cluster, case, config.stash[RUN].campaign, lambda what, data: None)
    stack.delete_service()
    stack.delete_runtime()
    stack.delete_model()
    left = stack.leftovers()
    if left:
        raise ClusterError("still there: " + ", ".join(map(str, left)))


def keep_evidence(run: Run, case: Case, evidence: Evidence) -> None:
    """``evidence/<case>.json`` in the run directory: redacted, the whole of it."""
    place = run.directory / "evidence" / f"{case.resource_name}.json"
    text = json.dumps(redact_value(asdict(evidence)), ensure_ascii=False, indent=1, default=str)
    atomic_write(place, text.encode("utf-8", "backslashreplace"))


def finish(request: pytest.FixtureRequest, life: CaseLife, inputs: str) -> None:
    """Pronounce the verdict of an attempt; ``inputs`` is the key of what was tested."""
    pronounce(request, life.case, replace(life.finish(), inputs=inputs))


def pronounce(request: pytest.FixtureRequest, case: Case, verdict: Verdict) -> None:
    """Write a verdict down, and leave it where the reports find it."""
    run = request.config.stash[RUN]
    verdict = Verdict.from_data(cast(dict[str, Any], redact_value(verdict.as_data())))
    journal_of(request.config).verdict(verdict)
    request.node.stash[VERDICT] = verdict
    tier = run.campaign.tier_of(case.gpus).name
    values = {**properties(verdict, case), "model": case.name, "tier": tier, "run_id": run.run_id}
    request.node.user_properties += [(name, str(value)) for name, value in values.items()]


def tunnel(cluster: Cluster, namespace: str, pod: str, port: int) -> AbstractContextManager[httpx.Client]:
    """An HTTP client to a port of a pod."""
    import httpx

    return httpx.Client(
        transport=cluster.tunnel(namespace, pod, port),
        base_url=f"http://{pod}.{namespace}:{port}",
        timeout=httpx.Timeout(60.0, connect=30.0),
    )
