"""What differs between releases of OME, as data (facts: ome.md, section 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """Behaviour of one release."""

    name: str
    ingress_disabled: bool = True
    """Shipped setting ``disableIngressCreation``."""
    ready_needs_engine: bool = True
    """Whether ``Ready`` of an InferenceService depends on the engine, or on the ingress alone."""
    idle_conditions: bool = False
    """Whether conditions that Raw mode never fills are listed as Unknown."""
    node_requirement: Literal["required", "preferred"] = "required"
    """How engine pods are bound to nodes that hold the model."""
    redownload: Literal["any-change", "never", "policy-change"] = "policy-change"
    """Which change of a model's spec makes the agents download again."""
    lenient_versions: bool = True
    """Whether versions of one to three parts and a leading ``v`` are understood, or exactly three parts."""
    diffusion_pipelines: bool = True
    """Whether models and runtimes have a ``diffusionPipeline``, and it is compared."""
    generic_parser: bool = True
    """Whether models of a type without its own parser get their spec filled."""
    reports_progress: bool = True
    reserve_label: bool = True
    """Whether label ``models.ome/reserve-model-artifact`` keeps the files of a deleted model."""
    artifact_reuse: bool = True
    """Whether the agent looks up the commit and records an ``artifact``."""
    keeps_shared_path: bool = True
    """Whether files stay when another model uses the same path."""
    webhook_checks_model: bool = True
    detailed_mismatch: bool = True
    url_has_port: bool = True
    """Port in ``status.url``; and the service in front has the container's port instead of 80."""
    router_rbac_owned: bool = True
    keeps_replicas: bool = True
    """Whether an update of a Deployment leaves its replica count alone."""
    disruption_budgets: bool = True
    model_events: bool = False
    in_transit_requeue: float | None = 5.0
    """Cluster seconds between looks at a model in transit."""
    cleans_lost_nodes: bool = True
    """Whether a node's ConfigMap goes with its node."""
    hashes_long_names: bool = True
    model_path_overrides: bool = False
    """Whether ``MODEL_PATH`` replaces the one the runner sets."""
    runtime_worker_check: bool = True
    """Whether the webhook checks worker sizes and accelerator classes of cluster-scoped runtimes."""


CURRENT = Profile("v0.1.5")

_V014 = replace(
    CURRENT,
    name="v0.1.4",
    ingress_disabled=False,
    ready_needs_engine=False,
    idle_conditions=True,
    redownload="any-change",
    lenient_versions=False,
    diffusion_pipelines=False,
    generic_parser=False,
    reports_progress=False,
    reserve_label=False,
    artifact_reuse=False,
    webhook_checks_model=False,
    detailed_mismatch=False,
    url_has_port=False,
    router_rbac_owned=False,
    keeps_replicas=False,
    model_events=True,
    in_transit_requeue=None,
    cleans_lost_nodes=False,
    hashes_long_names=False,
    model_path_overrides=True,
)

PROFILES = {
    profile.name: profile
    for profile in (
        CURRENT,
        _V014,
        replace(_V014, name="v0.1.3", keeps_shared_path=False, disruption_budgets=False, runtime_worker_check=False),
        replace(
            CURRENT,
            name="interim",
            node_requirement="preferred",
            redownload="any-change",
            router_rbac_owned=False,
            keeps_replicas=False,
            in_transit_requeue=None,
        ),
    )
}
"""By name. ``interim`` is a build of late December 2025, between v0.1.4 and v0.1.5."""
