"""What can be known before touching the cluster: arithmetic, names, and whether the platform is there."""

from __future__ import annotations

from dataclasses import replace

from pytest_modelrt.cluster.model import RUN_ID, Object, Ref
from pytest_modelrt.cluster.ownership import is_ours
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.manifests.fit import weights_fit
from pytest_modelrt.plan.model import Campaign, Hardware
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.stacks.ome.context import Context, dig, label
from pytest_modelrt.stacks.ome.files import CaseFiles
from pytest_modelrt.stacks.protocol import Ready, StackFailure


def check_before_touching(context: Context, files: CaseFiles, campaign: Campaign) -> Ready:
    """Everything in order to begin.

    Raises:
        StackFailure: ``gpu-budget-exceeded`` with the arithmetic, or ``leftover-conflict`` with names and ages.
        ClusterError: the platform's kinds are not served, or the API refuses us.
    """
    context.cluster.get(context.names.model)  # a cluster without the platform refuses
    check_arithmetic(context, campaign)
    _names_free(context)
    return Ready(facts={"files": files.shown}, warnings=files.warnings)


def check_arithmetic(context: Context, campaign: Campaign, max_age: float = 0.0) -> None:
    """Whether the case fits the cluster and the limits; ``max_age``: real seconds for which known nodes will do.

    Raises:
        StackFailure: ``gpu-budget-exceeded`` with the arithmetic.
        ClusterError: the API refuses us.
    """
    case, hardware = context.case, _hardware(context, campaign.hardware, max_age)
    # Nobody can wait for more nodes than there are.
    context.nodes_wanted = max(case.serving.nodes, min(context.nodes_wanted, hardware.nodes))
    why = weights_fit(case, hardware)
    why = why or Limits.of(campaign).refusal(max(case.gpus, case.serving.tensor_parallel))
    if why is not None:
        raise StackFailure(Stage.PREFLIGHT, "arithmetic", why, cause="gpu-budget-exceeded")


def _hardware(context: Context, planned: Hardware, max_age: float) -> Hardware:
    """What the cluster's nodes say; what the campaign says where they cannot be read or have no GPUs."""
    gpus = [count for count in context.cluster.allocatable_gpus(max_age).values() if count > 0]
    if not gpus:
        return planned
    return replace(planned, nodes=len(gpus), gpus_per_node=max(gpus))


def _names_free(context: Context) -> None:
    taken = []
    for ref in context.names.all():
        obj = context.cluster.get(ref)
        if obj is None:
            continue
        if is_ours(obj, context.owner.run_id) and dig(obj, "metadata", "deletionTimestamp"):
            _await_own_deletion(context, ref)
        elif not is_ours(obj, context.owner.run_id):
            taken.append(_described(ref, obj))
    if taken:
        detail = "already there and not of this run: " + ", ".join(taken)
        raise StackFailure(Stage.PREFLIGHT, "leftover-conflict", detail, cause="leftover-conflict")


def _await_own_deletion(context: Context, ref: Ref) -> None:
    """An earlier attempt of this run is still going away."""
    context.cluster.wait_gone(ref, context.deadline(context.deadlines.model_gone))


def _described(ref: Ref, obj: Object) -> str:
    run = label(obj, RUN_ID)
    return f"{ref} (since {dig(obj, 'metadata', 'creationTimestamp')}, {f'of run {run}' if run else 'not ours'})"
