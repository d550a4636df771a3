"""What the rest of the suite says to a cluster: resources, references, watch events and the errors that come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_modelrt.redaction import redact

Object = dict[str, Any]
"""A Kubernetes object as a plain dictionary."""

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "pytest-modelrt"
"""Value of the managed-by label, and our field manager."""
RUN_ID = "modelrt.io/run-id"
CASE = "modelrt.io/case"
"""Label: resource name of the case."""
EXPIRES = "modelrt.io/expires"
"""Annotation: RFC 3339 time after which ``modelrt sweep`` may delete the object without knowing its run."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """``ome.io/v1beta1``; ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
POD = Resource("", "v1", "pods", "Pod", namespaced=True)
SERVICE = Resource("", "v1", "services", "Service", namespaced=True)
EVENT = Resource("", "v1", "events", "Event", namespaced=True)
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SECRET = Resource("", "v1", "secrets", "Secret", namespaced=True)
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet", namespaced=True)
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
LEADER_WORKER_SET = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet", namespaced=True)
CLUSTER_BASE_MODEL = Resource("ome.io", "v1beta1", "clusterbasemodels", "ClusterBaseModel", namespaced=False)
CLUSTER_SERVING_RUNTIME = Resource(
    "ome.io", "v1beta1", "clusterservingruntimes", "ClusterServingRuntime", namespaced=False
)
INFERENCE_SERVICE = Resource("ome.io", "v1beta1", "inferenceservices", "InferenceService", namespaced=True)
LLM_INFERENCE_SERVICE = Resource(
    "serving.kserve.io", "v1alpha1", "llminferenceservices", "LLMInferenceService", namespaced=True
)


@dataclass(frozen=True, slots=True)
class Ref:
    """One object by name."""

    resource: Resource
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        """``InferenceService llama/llama``, for messages."""
        return f"{self.resource.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of one kind: what a list or a watch asks for."""

    resource: Resource
    namespace: str | None = None
    """``None``: all namespaces, or a cluster-scoped kind."""
    name: str | None = None
    labels: str | None = None
    """Label selector, ``a=b,c in (d,e)``."""
    fields: str | None = None
    """Field selector; ``name`` is added to it."""

    def field_selector(self) -> str | None:
        """The field selector with the name put in."""
        parts = [part for part in (self.fields, f"metadata.name={self.name}" if self.name else None) if part]
        return ",".join(parts) or None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change: ``ADDED``, ``MODIFIED`` or ``DELETED``, with the object as it is now (or last was)."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class ClusterTarget:
    """The cluster a person named. Nothing named at all is the caller's cue to start the simulator."""

    kubeconfig: Path | None = None
    """A file; ``None`` means the ``KUBECONFIG`` variable, which may list several."""
    context: str | None = None
    """``None``: the kubeconfig's current context."""
    in_cluster: bool = False
    """Use the service account of the pod we run in, and no kubeconfig."""


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Which cluster this is, for the header and the run record."""

    server: str
    context: str
    simulated: bool
    speed: float
    """Cluster seconds per real second; 1 on a real cluster."""
    version: str = ""


class ClusterError(Exception):
    """The cluster refused or could not be reached; the words are without secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class KubeconfigError(ClusterError):
    """The kubeconfig, or what it names, cannot be used: no later try will go better."""


class ApiError(ClusterError):
    """The API answered with a Status that is not success."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        """Machine-readable: ``NotFound``, ``AlreadyExists``, ``Conflict``, ``Invalid``, ``Forbidden``, ..."""
        self.message = str(self)
        self.details = details or {}


class ApiUnavailable(ClusterError):
    """No answer, or a 5xx/429, for longer than the connection tolerates."""


class NotOurs(ClusterError):
    """A write would touch an object that does not carry our labels and run id."""


class WaitTimeout(ClusterError):
    """A deadline passed; ``last`` is the object as last seen."""

    def __init__(self, message: str, last: Object | None = None) -> None:
        super().__init__(message)
        self.last = last


@dataclass(frozen=True, slots=True)
class Ownership:
    """What every object we create carries."""

    run_id: str
    case: str
    expires: str
    """RFC 3339."""
    extra_labels: Mapping[str, str] = field(default_factory=dict)

    def labels(self) -> dict[str, str]:
        """Labels to merge into an object's metadata."""
        return {MANAGED_BY: MANAGER, RUN_ID: self.run_id, CASE: self.case, **self.extra_labels}
