"""What of the platform is installed; the first thing missing is named with the command that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import DEPLOYMENT, LLM_INFERENCE_SERVICE, ApiError, Object, Ref, Resource
from pytest_modelrt.stacks.kserve import names

INSTALL = "config/kind/install.sh"


@dataclass(frozen=True, slots=True)
class Missing:
    """Something this platform needs and the cluster does not have."""

    what: str
    command: str

    def __str__(self) -> str:
        return f"{self.what}; to install it: {self.command}"


@dataclass(frozen=True, slots=True)
class Installed:
    """What was found."""

    kserve: str
    """Version tag of the LLMInferenceService controller's image; empty when it has none."""
    preset_container: str
    """Name of the container in KServe's preset: ``main``, unless somebody replaced it for the whole cluster."""


@dataclass(frozen=True, slots=True)
class _Need:
    resources: tuple[Resource, ...]
    deployments: tuple[tuple[str, str], ...]
    """Namespace, and name; any name when it ends with ``*``."""
    what: str
    step: str


_NEEDS = (
    _Need(
        (names.GATEWAY, names.HTTP_ROUTE),
        (("istio-system", "istiod"),),
        "a Gateway API implementation (Istio)",
        "istio",
    ),
    _Need(
        (LLM_INFERENCE_SERVICE, names.LLM_CONFIG),
        (("kserve", "llmisvc-controller-manager"),),
        "KServe with LLMInferenceService (v0.16 or later)",
        "kserve",
    ),
    _Need(
        (names.AUTH_POLICY, names.RATE_LIMIT_POLICY, names.TOKEN_LIMIT_POLICY, names.KUADRANT),
        ((names.KUADRANT_NAMESPACE, "kuadrant-operator*"),),
        "Kuadrant with TokenRateLimitPolicy (v1.3 or later)",
        "kuadrant",
    ),
)


def look(cluster: Cluster) -> Installed | Missing:
    """What is installed, or the first thing that is not. Raises ApiUnavailable, ApiError."""
    for need in _NEEDS:
        absent = _first_absent(cluster, need)
        if absent:
            return Missing(f"{need.what} is not there: {absent}", f"{INSTALL} {need.step}")
    preset = cluster.get(names.PRESET)
    if preset is None:
        return Missing(f"KServe's preset is not there: no {names.PRESET}", f"{INSTALL} kserve")
    container = _first_container(preset).get("name", "")
    wanted = _first_container(cluster.get(names.service("model-a")) or {}).get("name", names.CONTAINER)
    if container != wanted:
        text = f"{names.PRESET} has the container {container!r}, model-a has {wanted!r}: the pod would have both"
        return Missing(text, f"{INSTALL} kserve")
    stray = cluster.get(names.STRAY_BINDING)
    if stray is not None:
        text = f"{names.STRAY_BINDING} lets the free user into every model (the platform's demo scripts leave it)"
        return Missing(text, f"kubectl delete clusterrolebinding {names.STRAY_BINDING.name}")
    controller = cluster.get(Ref(DEPLOYMENT, "llmisvc-controller-manager", "kserve")) or {}
    return Installed(_tag(_first_container(controller).get("image", "")), container)


def _first_absent(cluster: Cluster, need: _Need) -> str:
    for resource in need.resources:
        if resource not in cluster.kinds.served(resource.api_version):
            return f"no {resource.plural}.{resource.group} ({resource.version})"
    for namespace, name in need.deployments:
        found = list(_named(cluster, namespace, name))
        if not found:
            return f"no Deployment {namespace}/{name}"
        if not any((obj.get("status") or {}).get("availableReplicas") for obj in found):
            return f"Deployment {namespace}/{name} is not available"
    return ""


def _named(cluster: Cluster, namespace: str, name: str) -> Iterator[Object]:
    try:
        deployments = cluster.list(DEPLOYMENT, namespace)
    except ApiError as error:
        if error.code == 404:
            return
        raise
    for obj in deployments:
        own = obj["metadata"]["name"]
        if own == name or (name.endswith("*") and own.startswith(name[:-1])):
            yield obj


def _first_container(obj: Object) -> Object:
    spec = obj.get("spec") or {}
    template = spec.get("template") or {}
    pod = template.get("spec") or template
    containers = pod.get("containers") or [{}]
    return dict(containers[0])


def _tag(image: str) -> str:
    return image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
