"""Environment and command line of a container, resolved as the kubelet does it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from pytest_modelrt.simulator.client import ApiClient, Object
from pytest_modelrt.simulator.nodes.quantities import container_requests
from pytest_modelrt.simulator.resources import CONFIG_MAPS, SECRETS

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]$")
_GROUP_LABEL = "leaderworkerset.sigs.k8s.io/name"
_INDEX_LABEL = "leaderworkerset.sigs.k8s.io/worker-index"
_SIZE_ANNOTATION = "leaderworkerset.sigs.k8s.io/size"
_LEADER_ANNOTATION = "leaderworkerset.sigs.k8s.io/leader-name"


class ConfigReferenceError(Exception):
    """A container refers to a Secret or ConfigMap that is not there (``CreateContainerConfigError``)."""


async def resolve_environment(client: ApiClient, pod: Object, container: Object) -> dict[str, str]:
    """All variables of a container.

    Raises:
        ConfigReferenceError: a reference that is not optional leads nowhere.
    """
    namespace = pod["metadata"]["namespace"]
    env: dict[str, str] = {
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        **_group_environment(pod),
    }
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        for kind, resource in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
            if kind in source:
                data = await _data(client, resource, namespace, source[kind])
                env.update({prefix + key: value for key, value in (data or {}).items()})
    for entry in container.get("env") or []:
        if entry.get("valueFrom"):
            value = await _value_from(client, pod, container, entry["valueFrom"])
            if value is not None:
                env[entry["name"]] = value
        else:
            env[entry["name"]] = expand(str(entry.get("value") or ""), env)
    return env


def command_line(container: Object, env: Mapping[str, str]) -> tuple[str, ...]:
    """Command and arguments with ``$(VAR)`` expanded."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    return tuple(expand(str(word), env) for word in words)


def expand(text: str, env: Mapping[str, str]) -> str:
    """``$(NAME)`` replaced where NAME is known, ``$$`` made ``$``, everything else left alone."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return env.get(match.group(2), match.group(0))

    return _REFERENCE.sub(replace, text)


async def _value_from(client: ApiClient, pod: Object, container: Object, source: Object) -> str | None:
    namespace = pod["metadata"]["namespace"]
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        resource = source["resourceFieldRef"]["resource"].partition(".")[2]
        return str(int(container_requests(container).get(resource, 0)))
    for kind, resource, title in (
        ("configMapKeyRef", CONFIG_MAPS, "ConfigMap"),
        ("secretKeyRef", SECRETS, "Secret"),
    ):
        if kind in source:
            data = await _data(client, resource, namespace, source[kind])
            if data is None:
                return None
            key = source[kind]["key"]
            if key not in data and not source[kind].get("optional"):
                raise ConfigReferenceError(f"couldn't find key {key} in {title} {namespace}/{source[kind]['name']}")
            return data.get(key)
    return None


async def _data(client: ApiClient, resource: Any, namespace: str, reference: Object) -> dict[str, str] | None:
    """Contents of a ConfigMap or Secret as text; None when it is missing but optional."""
    found = await client.find(resource, reference["name"], namespace)
    if found is None:
        if reference.get("optional"):
            return None
        raise ConfigReferenceError(f'{resource.kind.lower()} "{reference["name"]}" not found')
    data = found.get("data") or {}
    if resource is SECRETS:
        return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
    return dict(data)


def field_value(pod: Object, path: str) -> str:
    """A field of the pod as the downward API gives it; empty when unset."""
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        return str((pod["metadata"].get(subscript.group(1)) or {}).get(subscript.group(2), ""))
    if path in ("status.podIP", "status.podIPs"):
        return str((pod.get("status") or {}).get("podIP", ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _group_environment(pod: Object) -> dict[str, str]:
    """What LeaderWorkerSet tells the pods of a group."""
    labels = pod["metadata"].get("labels") or {}
    annotations = pod["metadata"].get("annotations") or {}
    if _INDEX_LABEL not in labels:
        return {}
    group = labels.get(_GROUP_LABEL, "")
    index = labels[_INDEX_LABEL]
    leader = pod["metadata"]["name"] if index == "0" else annotations.get(_LEADER_ANNOTATION, f"{group}-0")
    return {
        "LWS_LEADER_ADDRESS": f"{leader}.{group}.{pod['metadata']['namespace']}",
        "LWS_GROUP_SIZE": str(annotations.get(_SIZE_ANNOTATION, 1)),
        "LWS_WORKER_INDEX": index,
    }
