"""Names OME gives to things: its namespace, labels, ConfigMap keys, children (facts: OME 0, 2.2, 2.3, 4.6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pytest_modelrt.cluster.model import (
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
    INFERENCE_SERVICE,
    NAMESPACE,
    Ref,
)

SYSTEM_NAMESPACE = "ome"
NODE_STATUS_LABEL = "models.ome/basemodel-status=true"
"""Selects the per-node ConfigMaps that hold each model's state on that node."""
AGENT_LABEL = "app.kubernetes.io/component=ome-model-agent-daemonset"
CONTROLLER_LABEL = "control-plane=ome-controller-manager"
SERVICE_LABEL = "ome.io/inferenceservice"
COMPONENT_LABEL = "component"
LEADER_INDEX_LABEL = "leaderworkerset.sigs.k8s.io/worker-index"
ENGINE = "engine"
ROUTER = "router"
ENGINE_CONTAINER = "ome-container"
DEFAULT_PORT = 8080
TERMINAL_EVENTS = frozenset(
    {
        "RuntimeValidationError",
        "RuntimeSelectionError",
        "ModelReconcileError",
        "MergeSpecsError",
        "DeploymentModeError",
        "AcceleratorClassError",
        "ServerlessModeRejected",
    }
)
"""Warning events on an InferenceService after which nothing changes by itself within the deadline (facts: OME 4.3)."""

_LABEL_LIMIT = 32


def entry_key(model: str) -> str:
    """Key of a ClusterBaseModel in a node's ConfigMap."""
    return f"clusterbasemodel.{model}"


def node_label(model: str) -> str:
    """Node label of a ClusterBaseModel: ``models.ome.io/clusterbasemodel.<name>``, long names hashed."""
    short = model
    if len(model) > _LABEL_LIMIT:
        short = f"{hashlib.sha256(model.encode()).hexdigest()[:8]}-{model[-(_LABEL_LIMIT - 9) :]}"
    return f"models.ome.io/clusterbasemodel.{short}"


@dataclass(frozen=True, slots=True)
class Names:
    """The objects of one case."""

    model: Ref
    runtime: Ref
    service: Ref
    namespace: Ref

    @classmethod
    def of(cls, model: str, runtime: str, service: str, namespace: str) -> Names:
        """From bare names."""
        return cls(
            model=Ref(CLUSTER_BASE_MODEL, model),
            runtime=Ref(CLUSTER_SERVING_RUNTIME, runtime),
            service=Ref(INFERENCE_SERVICE, service, namespace),
            namespace=Ref(NAMESPACE, namespace),
        )

    def all(self) -> tuple[Ref, ...]:
        """In the order of creation."""
        return (self.model, self.runtime, self.namespace, self.service)
