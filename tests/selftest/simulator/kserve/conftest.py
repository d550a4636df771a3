"""The KServe platform with the project's Kind overlay on a launched simulator."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pytest_modelrt import launcher
from pytest_modelrt.clock import SIMULATOR_EXTENSION
from tests.selftest.simulator.controllers.conftest import CONFIG, Kubectl

SPEED = 20.0
"""A minute's window lasts three seconds: long enough for a test to fill it, short enough to fill another."""
OVERLAY = CONFIG / "kind"
AUDIENCE = "maas-default-gateway-sa"


class Maas:
    """The platform as its users see it."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        config = yaml.safe_load(kubectl.kubeconfig.read_text(encoding="utf-8"))
        [extension] = config["clusters"][0]["cluster"]["extensions"]
        assert extension["name"] == SIMULATOR_EXTENSION
        self.url: str = extension["extension"]["gateway"]
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def token(self, tier: str, name: str = "", audience: str = AUDIENCE) -> str:
        """A token of a tier's user; of a fresh user of that tier, with budgets of its own, when a name is given."""
        namespace = f"maas-default-gateway-tier-{tier}"
        if name:
            self.kubectl("create", "serviceaccount", name, "-n", namespace)
        words = ["create", "token", name or f"{tier}-user", "-n", namespace, "--duration=1h"]
        return self.kubectl(*words, *([f"--audience={audience}"] if audience else [])).strip()

    def get(self, path: str, token: str = "") -> httpx.Response:
        """GET, with a token if one is given."""
        return self.client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

    def chat(self, model: str, token: str = "", **fields: Any) -> httpx.Response:
        """One chat completion of few tokens."""
        asked = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, **fields}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.post(f"/llm/{model}/v1/chat/completions", json=asked, headers=headers)


def deploy(kubectl: Kubectl) -> Maas:
    """Apply the overlay and wait until all of it works."""
    kubectl("apply", "-k", str(OVERLAY))
    kubectl.wait("gateway/maas-gateway", "condition=Programmed", "-n", "istio-system")
    kubectl("wait", "llmisvc", "--all", "--for=condition=Ready", "-n", "llm", "--timeout=60s")
    kubectl.wait("deployment/maas-api", "condition=Available", "-n", "maas-api")
    kinds = "authpolicies,ratelimitpolicies,tokenratelimitpolicies"
    kubectl("wait", kinds, "--all", "-A", "--for=condition=Enforced", "--timeout=60s")
    return Maas(kubectl)


@contextmanager
def platform(directory: Path, scenario: Path | None = None, speed: float = SPEED) -> Iterator[Maas]:
    """A cluster of two nodes with the overlay deployed."""
    name = str(scenario) if scenario else None
    with launcher.start(directory, speed=speed, config_dir=CONFIG, nodes=2, scenario=name) as process:
        process.wait_ready()
        maas = deploy(Kubectl(process.kubeconfig))
        with maas.client:
            yield maas


@pytest.fixture(scope="session")
def maas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maas]:
    with platform(tmp_path_factory.mktemp("maas")) as running:
        yield running


MODEL: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1alpha1",
    "kind": "LLMInferenceService",
    "metadata": {"name": "model-x", "namespace": "llm"},
    "spec": {
        "model": {"name": "model-x", "uri": "hf://Qwen/Qwen3-8B"},
        "template": {
            "containers": [
                {
                    "name": "main",
                    "image": "ghcr.io/llm-d/llm-d-inference-sim:v0.5.1",
                    "command": ["/app/llm-d-inference-sim"],
                    "args": ["--port", "8000", "--model", "model-x"],
                }
            ]
        },
    },
}


def model(name: str, **spec: Any) -> dict[str, Any]:
    """An LLMInferenceService like the overlay's, under another name and without a claim."""
    made = copy.deepcopy(MODEL)
    made["metadata"]["name"] = name
    made["spec"] |= spec
    return made


def conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    held = obj.get("status", {}).get("conditions", [])
    return {entry["type"]: (entry["status"], entry.get("reason", "")) for entry in held}
