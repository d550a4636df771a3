"""The kinds of objects the simulated cluster handles, and their paths in the Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass

OME_GROUP = "ome.io"
OME_NAMESPACE = "ome"
"""Namespace of the OME controller, its model agents, settings and secrets."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object: where it lives in the API."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection, of one object, or of its subresource; all namespaces when none is given."""
        parts = [f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


NODES = Resource("v1", "Node", "nodes", namespaced=False)
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
PODS = Resource("v1", "Pod", "pods")
SERVICES = Resource("v1", "Service", "services")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
SECRETS = Resource("v1", "Secret", "secrets")
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
EVENTS = Resource("v1", "Event", "events")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
REPLICA_SETS = Resource("apps/v1", "ReplicaSet", "replicasets")
DAEMON_SETS = Resource("apps/v1", "DaemonSet", "daemonsets")
AUTOSCALERS = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
DISRUPTION_BUDGETS = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
ROLES = Resource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
INGRESSES = Resource("networking.k8s.io/v1", "Ingress", "ingresses")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
CRDS = Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
LEADER_WORKER_SETS = Resource("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets")
GATEWAYS = Resource("gateway.networking.k8s.io/v1", "Gateway", "gateways")
HTTP_ROUTES = Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
CLUSTER_BASE_MODELS = Resource("ome.io/v1beta1", "ClusterBaseModel", "clusterbasemodels", namespaced=False)
BASE_MODELS = Resource("ome.io/v1beta1", "BaseModel", "basemodels")
CLUSTER_SERVING_RUNTIMES = Resource(
    "ome.io/v1beta1", "ClusterServingRuntime", "clusterservingruntimes", namespaced=False
)
SERVING_RUNTIMES = Resource("ome.io/v1beta1", "ServingRuntime", "servingruntimes")
INFERENCE_SERVICES = Resource("ome.io/v1beta1", "InferenceService", "inferenceservices")
LLM_SERVICES = Resource("serving.kserve.io/v1alpha1", "LLMInferenceService", "llminferenceservices")
LLM_CONFIGS = Resource("serving.kserve.io/v1alpha1", "LLMInferenceServiceConfig", "llminferenceserviceconfigs")
GATEWAY_CLASSES = Resource("gateway.networking.k8s.io/v1", "GatewayClass", "gatewayclasses", namespaced=False)
KUADRANTS = Resource("kuadrant.io/v1beta1", "Kuadrant", "kuadrants")
AUTH_POLICIES = Resource("kuadrant.io/v1", "AuthPolicy", "authpolicies")
RATE_LIMIT_POLICIES = Resource("kuadrant.io/v1", "RateLimitPolicy", "ratelimitpolicies")
TOKEN_RATE_LIMIT_POLICIES = Resource("kuadrant.io/v1alpha1", "TokenRateLimitPolicy", "tokenratelimitpolicies")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
VOLUMES = Resource("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
STORAGE_CLASSES = Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ACCELERATOR_CLASSES = Resource("ome.io/v1beta1", "AcceleratorClass", "acceleratorclasses", namespaced=False)
