"""The overlay as the platform's own repository writes it, with the defects that ours repairs."""

from __future__ import annotations

import copy
from typing import Any

from pytest_modelrt.stacks.kserve.overlay import Overlay
from tests.selftest.maas.conftest import CONFIG

MODELS_OF = {"free": ("model-a",), "premium": ("model-a", "model-b"), "enterprise": ("model-a", "model-b")}


def objects() -> list[dict[str, Any]]:
    """Accounts and tier map by user name, one shared preset whose container is called ``kserve-container``."""
    unrepaired = [copy.deepcopy(obj) for obj in Overlay.load(CONFIG / "kind").objects if not _is_a_tiers_namespace(obj)]
    for obj in unrepaired:
        if obj["kind"] == "ServiceAccount" and obj["metadata"]["name"].endswith("-user"):
            obj["metadata"]["namespace"] = "maas-api"
        elif obj["kind"] == "ConfigMap":
            obj["data"]["tiers"] = _tiers()
        elif obj["kind"] == "RoleBinding":
            model = obj["metadata"]["name"].removesuffix("-access")
            obj["subjects"] = [
                {"kind": "ServiceAccount", "name": f"{tier}-user", "namespace": "maas-api"}
                for tier, models in MODELS_OF.items()
                if model in models
            ]
        elif obj["kind"] == "LLMInferenceService":
            (container,) = obj["spec"]["template"]["containers"]
            container["name"] = "kserve-container"
            del container["readinessProbe"], container["livenessProbe"]
    return [_preset(), *unrepaired]


def _is_a_tiers_namespace(obj: dict[str, Any]) -> bool:
    return obj["kind"] == "Namespace" and "-tier-" in obj["metadata"]["name"]


def _tiers() -> str:
    return "".join(
        f"- name: {tier}\n  level: {level}\n  groups:\n    - system:serviceaccount:maas-api:{tier}-user\n"
        + ("    - system:authenticated\n" if tier == "free" else "")
        for level, tier in enumerate(MODELS_OF)
    )


def _preset() -> dict[str, Any]:
    container = {
        "name": "kserve-container",
        "image": "ghcr.io/llm-d/llm-d-inference-sim:v0.5.1",
        "command": ["/app/llm-d-inference-sim"],
        "args": ["--port", "8080", "--mode", "random"],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": "kserve-config-llm-template", "namespace": "kserve"},
        "spec": {"template": {"containers": [container]}},
    }
