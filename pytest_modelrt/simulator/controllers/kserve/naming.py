"""Names and labels of what belongs to an LLMInferenceService."""

from __future__ import annotations

import hashlib

NAMESPACE = "kserve"
"""Where KServe is installed; presets of this namespace serve every other one."""
FINALIZER = "serving.kserve.io/llmisvc-finalizer"
TEMPLATE_PRESET = "kserve-config-llm-template"
ROUTE_PRESET = "kserve-config-llm-router-route"
PORT = 8000
"""Port of the workload's pods and Service; cannot be configured."""
STOP_ANNOTATION = "serving.kserve.io/stop"

_LONGEST = 63
_DIGEST = 32
_PART_OF = "llminferenceservice"


def child_name(parent: str, suffix: str) -> str:
    """Name of a child; a long parent is cut and its MD5 digest added, as Knative's helper does it."""
    if len(parent) <= _LONGEST - len(suffix):
        return parent + suffix
    digest = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
    return parent[: _LONGEST - _DIGEST - len(suffix)] + digest + suffix


def workload_labels(name: str, *, split: bool = False) -> dict[str, str]:
    """Labels of Deployment and pods; ``split``: prefill runs elsewhere."""
    return {
        "app.kubernetes.io/component": "llminferenceservice-workload",
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": _PART_OF,
        "kserve.io/component": "workload",
        "llm-d.ai/role": "decode" if split else "both",
    }


def service_labels(name: str, component: str) -> dict[str, str]:
    """Labels of Service, Secret (``workload``) and route (``router``)."""
    return {
        "app.kubernetes.io/component": f"llminferenceservice-{component}",
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": _PART_OF,
    }


def selector(name: str) -> dict[str, str]:
    """What the workload Service selects."""
    return {
        "app.kubernetes.io/part-of": _PART_OF,
        "app.kubernetes.io/name": name,
        "kserve.io/component": "workload",
    }
