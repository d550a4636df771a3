"""What an installed OME looks like before its first user comes."""

from __future__ import annotations

import asyncio
import base64
from contextlib import aclosing
from typing import Any

from pytest_modelrt.simulator import resources
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.controllers.ome import settings
from pytest_modelrt.simulator.controllers.profile import Profile
from pytest_modelrt.simulator.resources import (
    CONFIG_MAPS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    OME_NAMESPACE,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)

AGENT_IMAGE = "ghcr.io/ome-projects/model-agent"
MANAGER_IMAGE = "ghcr.io/ome-projects/ome-manager"
AGENT_NAME = "ome-model-agent-daemonset"
MANAGER_NAME = "ome-controller-manager"
TOKEN_SECRET = "hf-token"
ESTABLISHED_SECONDS = 30.0
"""Real seconds; an API server needs less than one."""
_MODELS_DIRECTORY = "/raid/models"
_PLACEHOLDER_TOKEN = "hf_simulated"


async def install_crds(client: ApiClient, definitions: tuple[Object, ...]) -> None:
    """Create the CustomResourceDefinitions on an API server that does not have them, and wait until it serves them.

    Raises:
        TimeoutError: it does not, for ``ESTABLISHED_SECONDS``.
    """
    for definition in definitions:
        await ensure(client, CRDS, definition)
    awaited = {definition["metadata"]["name"] for definition in definitions}
    async with asyncio.timeout(ESTABLISHED_SECONDS), aclosing(client.watch(CRDS)) as events:
        async for _, definition in events:
            conditions = (definition.get("status") or {}).get("conditions") or []
            if any(item["type"] == "Established" and item["status"] == "True" for item in conditions):
                awaited.discard(definition["metadata"]["name"])
            if not awaited:
                return


async def install(client: ApiClient, profile: Profile, *, token: str = "good") -> None:
    """Create namespace, settings, token, accounts, the manager and the agents.

    ``token`` is the state of the hub token: ``good``, ``missing``, ``wrong-namespace``, ``wrong-key`` or ``empty``.
    """
    await ensure(client, NAMESPACES, {"metadata": {"name": OME_NAMESPACE, "labels": {"control-plane": MANAGER_NAME}}})
    objects: list[tuple[Resource, Object]] = [
        (CONFIG_MAPS, settings.defaults(profile)),
        (SERVICE_ACCOUNTS, {"metadata": {"name": "ome-model-agent"}}),
        (SERVICE_ACCOUNTS, {"metadata": {"name": MANAGER_NAME}}),
        (SERVICES, _webhook_service()),
        (DEPLOYMENTS, _manager(profile)),
        (DAEMON_SETS, _agents(profile)),
    ]
    if token != "missing":
        objects.append((SECRETS, _token_secret(token)))
    for resource, body in objects:
        body["metadata"].setdefault("namespace", OME_NAMESPACE)
        await ensure(client, resource, body)


def _token_secret(state: str) -> Object:
    value = "" if state == "empty" else base64.b64encode(_PLACEHOLDER_TOKEN.encode()).decode()
    key = "HF_TOKEN" if state == "wrong-key" else "token"
    metadata = {"name": TOKEN_SECRET}
    if state == "wrong-namespace":
        metadata["namespace"] = "default"
    return {"metadata": metadata, "type": "Opaque", "data": {key: value}}


async def ensure(client: ApiClient, resource: Resource, body: Object) -> None:
    """Create an object unless it is there."""
    try:
        await client.create(resource, body)
    except ApiStatusError as error:
        if error.reason != "AlreadyExists":
            raise


def known(manifest: Object) -> tuple[Resource, Object]:
    """A manifest with its resource.

    Raises:
        ValueError: a kind the simulator does not handle.
    """
    for resource in vars(resources).values():
        if isinstance(resource, Resource) and resource.kind == manifest.get("kind"):
            return resource, dict(manifest)
    raise ValueError(f"objects: unknown kind {manifest.get('kind')!r}")


def _webhook_service() -> Object:
    spec = {"selector": {"control-plane": MANAGER_NAME}, "ports": [{"port": 443, "targetPort": 9443}]}
    return {"metadata": {"name": "ome-webhook-server-service"}, "spec": spec}


def _manager(profile: Profile) -> Object:
    labels = {"control-plane": MANAGER_NAME, "controller-tools.k8s.io": "1.0"}
    container = {
        "name": "manager",
        "image": f"{MANAGER_IMAGE}:{profile.name}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/manager"],
        "args": ["--metrics-bind-address=:8080", "--leader-elect"],
        "env": [{"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
        "ports": [{"containerPort": 9443, "name": "webhook-server", "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}},
    }
    return _workload(MANAGER_NAME, labels, container, MANAGER_NAME, {"replicas": 1})


def _agents(profile: Profile) -> Object:
    labels = {"app.kubernetes.io/component": AGENT_NAME, "control-plane": "ome-model-agent"}
    container = {
        "name": "model-agent",
        "image": f"{AGENT_IMAGE}:{profile.name}",
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--models-root-dir",
            _MODELS_DIRECTORY,
            "--num-download-worker",
            "2",
            "--concurrency",
            "2",
            "--download-retry",
            "3",
            "--node-label-retry",
            "5",
        ],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "ports": [{"containerPort": 8080, "name": "metrics", "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}},
        "volumeMounts": [{"name": "host-models", "mountPath": _MODELS_DIRECTORY}],
    }
    extra = {
        "nodeSelector": {"nvidia.com/gpu": "true"},
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "host-models", "hostPath": {"path": _MODELS_DIRECTORY, "type": "DirectoryOrCreate"}}],
    }
    return _workload(
        AGENT_NAME, labels, container, "ome-model-agent", {"updateStrategy": {"type": "RollingUpdate"}}, extra
    )


def _workload(
    name: str,
    labels: dict[str, str],
    container: Object,
    account: str,
    spec: dict[str, Any],
    pod: dict[str, Any] | None = None,
) -> Object:
    template = {
        "metadata": {"labels": labels},
        "spec": {"serviceAccountName": account, "containers": [container], **(pod or {})},
    }
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {**spec, "selector": {"matchLabels": labels}, "template": template},
    }
