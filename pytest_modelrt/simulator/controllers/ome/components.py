"""The pods of a service's components: engine, decoder, router (facts: ome.md, 4.6, 4.7, 5). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.naming import (
    COMPONENT_LABEL,
    MODE_ANNOTATION,
    SERVICE_LABEL,
    component_name,
    model_label,
)
from pytest_modelrt.simulator.controllers.ome.merge import merge_specs
from pytest_modelrt.simulator.controllers.profile import Profile

Mode = Literal["RawDeployment", "MultiNode", "Serverless"]

_GPU = "nvidia.com/gpu"
_EXTENSION = """
minReplicas maxReplicas scaleTarget scaleMetric containerConcurrency timeoutSeconds canaryTrafficPercent labels
annotations minAvailable maxUnavailable deploymentStrategy kedaConfig runner leader worker acceleratorOverride
config size
"""
_EXTENSION_FIELDS = frozenset(_EXTENSION.split())
"""Fields of a component that are not part of its pod."""
_TEMPLATE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELD = re.compile(r"\.(Name|Namespace)$|\.(Labels|Annotations)\.([\w.-]+)$")
_WORD = re.compile(r"[A-Za-z_]\w*")


class ComponentError(Exception):
    """A component cannot be built; only the controller's log says so."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all components of a service are built from."""

    service: Object
    model: Object | None
    runtime: Object | None
    profile: Profile

    @property
    def name(self) -> str:
        """Name of the service."""
        return str(self.service["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Namespace of the service."""
        return str(self.service["metadata"]["namespace"])


@dataclass(frozen=True, slots=True)
class Component:
    """One component with its merged spec."""

    kind: str
    """``engine``, ``decoder`` or ``router``."""
    spec: Mapping[str, Any]
    setting: Setting

    @property
    def name(self) -> str:
        """Name of its Deployment, Service, HPA and PDB."""
        return component_name(self.setting.name, self.kind, hashed=self.setting.profile.hashes_long_names)

    @property
    def mode(self) -> Mode:
        """How it is deployed."""
        declared = (self.spec.get("annotations") or {}).get(MODE_ANNOTATION)
        if declared in ("RawDeployment", "MultiNode", "Serverless"):
            return declared  # type: ignore[no-any-return]
        if self.spec.get("leader") or self.spec.get("worker"):
            return "MultiNode"
        has_decoder = self.setting.service["spec"].get("decoder") is not None
        if self.spec.get("minReplicas") == 0 and not (self.kind == "engine" and has_decoder):
            return "Serverless"
        return "RawDeployment"

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its children and pods."""
        service, model, runtime = self.setting.service, self.setting.model, self.setting.runtime
        labels = {**(service["metadata"].get("labels") or {}), **(self.spec.get("labels") or {})}
        labels |= {
            SERVICE_LABEL: self.setting.name,
            COMPONENT_LABEL: self.kind,
            "app": self.name,
            "fine-tuned-serving": "false",
            "base-model-type": "Serving",
        }
        if runtime is not None:
            labels["serving-runtime"] = runtime["metadata"]["name"]
        if model is not None:
            metadata = model["metadata"]
            category = (metadata.get("annotations") or {}).get("models.ome.io/category", "SMALL")
            labels |= {"base-model-name": metadata["name"], "base-model-size": category}
            if model["spec"].get("vendor"):
                labels["base-model-vendor"] = model["spec"]["vendor"]
        return labels

    def pod_spec(self) -> dict[str, Any]:
        """The pod of a single-node component."""
        spec = self._finish(self.spec, workers=0)
        for container in spec["containers"]:
            _probe_first_port(container)
        if self.kind == "router":
            _add_environment(spec["containers"][0], self.spec.get("config") or {})
            spec["serviceAccountName"] = self.name
        return spec

    def group_specs(self) -> tuple[dict[str, Any], dict[str, Any], int]:
        """Leader pod, worker pod, and count of workers of a multi-node component."""
        leader, worker = self.spec.get("leader") or {}, self.spec.get("worker") or {}
        workers = int(worker.get("size", 1))
        return self._finish(leader, workers=workers), self._finish(worker, workers=workers), workers

    def _finish(self, source: Mapping[str, Any], *, workers: int) -> dict[str, Any]:
        spec = {name: value for name, value in source.items() if name not in _EXTENSION_FIELDS}
        runner = source.get("runner")
        containers = [dict(container) for container in spec.get("containers") or []]
        if runner is not None:
            others = [container for container in containers if container["name"] != runner["name"]]
            same = [container for container in containers if container["name"] == runner["name"]]
            containers = [merge_specs(same[0] if same else None, runner), *others]
        if not containers:
            raise ComponentError("no containers found in pod spec and no runner spec provided")
        spec["containers"] = [_expand(container, self.setting.service) for container in containers]
        spec.setdefault("terminationGracePeriodSeconds", 30)
        for container in spec["containers"]:
            container.setdefault("imagePullPolicy", "IfNotPresent")
            _write_quantities(container)
        if self.setting.model is not None:
            self._bind_model(spec, workers)
        return merge_specs(None, spec)

    def _bind_model(self, spec: dict[str, Any], workers: int) -> None:
        """Volume, mount, environment and node requirement of the model."""
        model, profile = self.setting.model, self.setting.profile
        assert model is not None
        metadata, path = model["metadata"], model["spec"]["storage"].get("path")
        if path:
            volumes = [volume for volume in spec.get("volumes") or [] if volume["name"] != metadata["name"]]
            spec["volumes"] = [*volumes, {"name": metadata["name"], "hostPath": {"path": path}}]
        if self.kind == "router":
            return
        engine = spec["containers"][0]
        if path:
            mounts = [mount for mount in engine.get("volumeMounts") or [] if mount["mountPath"] != path]
            engine["volumeMounts"] = [*mounts, {"name": metadata["name"], "mountPath": path, "readOnly": True}]
            own = any(entry["name"] == "MODEL_PATH" for entry in engine.get("env") or [])
            if not own or profile.model_path_overrides:
                _add_environment(engine, {"MODEL_PATH": path})
        gpus = int(((engine.get("resources") or {}).get("limits") or {}).get(_GPU, 0))
        if gpus:
            _add_environment(engine, {"PARALLELISM_SIZE": str(gpus * (1 + workers))})
        label = model_label(metadata["name"], metadata.get("namespace", ""))
        if profile.node_requirement == "required":
            spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), label: "Ready"}
        else:
            spec["affinity"] = _prefer(spec.get("affinity") or {}, label)


def make_component(kind: str, setting: Setting) -> Component | None:
    """A component, if the service asks for it: its spec laid over the runtime's."""
    asked = setting.service["spec"].get(kind)
    if asked is None:
        return None
    base: Mapping[str, Any] = {}
    if setting.runtime is not None:
        base = setting.runtime["spec"].get(f"{kind}Config") or {}
        legacy = setting.runtime["spec"].get("nodeSelector")
        if legacy:
            base = merge_specs({"nodeSelector": legacy}, base)
    return Component(kind, merge_specs(base, asked), setting)


def _probe_first_port(container: dict[str, Any]) -> None:
    """An engine that brings no readiness probe gets one, but not in a group of pods, where workers do not listen."""
    if container["name"] == "ome-container" and "readinessProbe" not in container:
        ports = container.get("ports") or [{"containerPort": 8080}]
        container["readinessProbe"] = {
            "tcpSocket": {"port": ports[0]["containerPort"]},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        }


def _write_quantities(container: dict[str, Any]) -> None:
    """Amounts are texts on the wire, however their author wrote them."""
    resources = container.get("resources")
    if resources:
        container["resources"] = {
            part: {name: str(amount) for name, amount in amounts.items()} if part in ("limits", "requests") else amounts
            for part, amounts in resources.items()
        }


def _add_environment(container: dict[str, Any], values: Mapping[str, str]) -> None:
    kept = [entry for entry in container.get("env") or [] if entry["name"] not in values]
    container["env"] = [*kept, *({"name": name, "value": value} for name, value in values.items())]


def _prefer(affinity: Mapping[str, Any], label: str) -> dict[str, Any]:
    requirement = {"matchExpressions": [{"key": label, "operator": "In", "values": ["Ready"]}]}
    node_affinity = dict(affinity.get("nodeAffinity") or {})
    preferred = node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    node_affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
        *preferred,
        {"weight": 100, "preference": requirement},
    ]
    return {**affinity, "nodeAffinity": node_affinity}


def _expand(value: Any, service: Object) -> Any:
    """Every text of a container is a Go template over the service's metadata."""
    if isinstance(value, Mapping):
        return {name: _expand(entry, service) for name, entry in value.items()}
    if isinstance(value, list):
        return [_expand(entry, service) for entry in value]
    if isinstance(value, str) and "{{" in value:
        return _TEMPLATE.sub(lambda match: _evaluate(match[1], service), value)
    return value


def _evaluate(action: str, service: Object) -> str:
    field = _FIELD.match(action)
    metadata = service["metadata"]
    if field is not None:
        return str(
            metadata.get(field[1].lower(), "") if field[1] else (metadata.get(field[2].lower()) or {}).get(field[3])
        )
    word = _WORD.match(action)
    problem = f'function "{word[0]}" not defined' if word else f"unexpected {action[:20]!r} in command"
    raise ComponentError(f"failed to replace placeholders in container: template: container-tmpl:1: {problem}")
