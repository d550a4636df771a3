"""Names of the platform's objects, as KServe, Istio, Kuadrant and the overlay of ``config/kind`` give them."""

from __future__ import annotations

from pytest_modelrt.cluster.model import (
    CONFIG_MAP,
    DEPLOYMENT,
    LLM_INFERENCE_SERVICE,
    SECRET,
    SERVICE,
    Ref,
    Resource,
)

HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", namespaced=True)
GATEWAY = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway", namespaced=True)
AUTH_POLICY = Resource("kuadrant.io", "v1", "authpolicies", "AuthPolicy", namespaced=True)
RATE_LIMIT_POLICY = Resource("kuadrant.io", "v1", "ratelimitpolicies", "RateLimitPolicy", namespaced=True)
TOKEN_LIMIT_POLICY = Resource(
    "kuadrant.io", "v1alpha1", "tokenratelimitpolicies", "TokenRateLimitPolicy", namespaced=True
)
KUADRANT = Resource("kuadrant.io", "v1beta1", "kuadrants", "Kuadrant", namespaced=True)
LLM_CONFIG = Resource(
    "serving.kserve.io", "v1alpha1", "llminferenceserviceconfigs", "LLMInferenceServiceConfig", namespaced=True
)
CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", namespaced=True)
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", namespaced=True)
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", namespaced=True)
CLUSTER_ROLE_BINDING = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)

MODELS_NAMESPACE = "llm"
API_NAMESPACE = "maas-api"
KUADRANT_NAMESPACE = "kuadrant-system"
KUADRANT_PODS = ("authorino-resource=authorino", "app=limitador")
"""Selectors of the services that authenticate and that limit."""
AUDIENCE = "maas-default-gateway-sa"
"""What a token must be meant for to pass the gateway."""
TIERS = ("free", "premium", "enterprise")
THE_GATEWAY = Ref(GATEWAY, "maas-gateway", "istio-system")
AUTH = Ref(AUTH_POLICY, "gateway-auth-policy", "istio-system")
API_AUTH = Ref(AUTH_POLICY, "maas-api-auth-policy", API_NAMESPACE)
REQUEST_LIMITS = Ref(RATE_LIMIT_POLICY, "gateway-rate-limits", "istio-system")
TOKEN_LIMITS = Ref(TOKEN_LIMIT_POLICY, "gateway-token-rate-limits", "istio-system")
POLICIES = (AUTH, API_AUTH, REQUEST_LIMITS, TOKEN_LIMITS)
API = Ref(DEPLOYMENT, "maas-api", API_NAMESPACE)
TIER_MAP = Ref(CONFIG_MAP, "tier-to-group-mapping", API_NAMESPACE)
PRESET = Ref(LLM_CONFIG, "kserve-config-llm-template", "kserve")
STRAY_BINDING = Ref(CLUSTER_ROLE_BINDING, "free-user-llm-access")
"""Left behind by the platform's own demo scripts: lets the free user into every model."""
CONTAINER = "main"
"""The container KServe's preset knows: it gets the probes and the model's files."""
PORT = 8000


def tier_namespace(tier: str) -> str:
    """Where the accounts of a tier live; the same name as maas-api uses for those it makes."""
    return f"maas-default-gateway-tier-{tier}"


def service(name: str, namespace: str = MODELS_NAMESPACE) -> Ref:
    """The LLMInferenceService."""
    return Ref(LLM_INFERENCE_SERVICE, name, namespace)


def workload(name: str, namespace: str = MODELS_NAMESPACE) -> Ref:
    """The Deployment KServe makes."""
    return Ref(DEPLOYMENT, f"{name}-kserve", namespace)


def workload_service(name: str, namespace: str = MODELS_NAMESPACE) -> Ref:
    """The Service KServe makes."""
    return Ref(SERVICE, f"{name}-kserve-workload-svc", namespace)


def certificates(name: str, namespace: str = MODELS_NAMESPACE) -> Ref:
    """The Secret KServe makes."""
    return Ref(SECRET, f"{name}-kserve-self-signed-certs", namespace)


def pod_labels(name: str) -> str:
    """Selector of a model's pods. The label ``serving.kserve.io/inferenceservice`` is on none of them."""
    return f"app.kubernetes.io/name={name},app.kubernetes.io/part-of=llminferenceservice,kserve.io/component=workload"
