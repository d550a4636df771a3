"""Names and labels OME derives from the names of models and services."""

from __future__ import annotations

import hashlib

MODEL_LABEL_PREFIX = "models.ome.io/"
SERVICE_LABEL = "ome.io/inferenceservice"
COMPONENT_LABEL = "component"
MODE_ANNOTATION = "ome.io/deploymentMode"

_MODEL_PART = 32
_NAMESPACED_PART = 38
_KEY_LENGTH = 253
_DNS_LABEL = 63


def model_label(name: str, namespace: str = "") -> str:
    """The node label that tells how far a model is on that node; long names are hashed."""
    if not namespace:
        return f"{MODEL_LABEL_PREFIX}clusterbasemodel.{_shorten(name, _MODEL_PART)}"
    if len(namespace) + len(name) <= _NAMESPACED_PART:
        return f"{MODEL_LABEL_PREFIX}{namespace}.basemodel.{name}"
    return f"{MODEL_LABEL_PREFIX}{_shorten(namespace, 14)}.basemodel.{_shorten(name, _NAMESPACED_PART - 14)}"


def model_key(name: str, namespace: str = "") -> str:
    """The data key of a model in the ConfigMap of a node."""
    key = f"{namespace}.basemodel.{name}" if namespace else f"clusterbasemodel.{name}"
    return _shorten(key, _KEY_LENGTH)


def component_name(service: str, component: str, *, hashed: bool = True) -> str:
    """Name of a component's Deployment and Service, and its ``app`` label."""
    name = f"{service}-{component}"
    return _shorten(name, _DNS_LABEL) if hashed else name


def worker_set_name(service: str, component: str) -> str:
    """Name of the LeaderWorkerSet of a multi-node component."""
    return "lws-" + f"{service}-{component}"[-50:]


def model_config_name(service: str) -> str:
    """Name of the ConfigMap with the list of models of a service."""
    return "modelconfig-" + service[-20:]


def _shorten(name: str, length: int) -> str:
    if len(name) <= length:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{digest}-{name[-(length - 9) :]}"
