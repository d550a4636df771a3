"""Defaults, validation and graceful deletion of pods and of the workloads that carry pod templates."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.errors import Cause, forbidden_field, invalid_value, not_supported, required
from pytest_modelrt.simulator.apiserver.kinds.core import valid_port
from pytest_modelrt.simulator.apiserver.selectors import label_selector
from pytest_modelrt.simulator.apiserver.values import JSON, copy, dig

_MUTABLE_SPEC = frozenset({"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates"})


def pod_spec_defaults(spec: JSON) -> None:
    """What the schema's plain defaults cannot express."""
    spec.setdefault("securityContext", {})
    for container in _containers(spec):
        container.setdefault("resources", {})
        if not container.get("imagePullPolicy"):
            _, _, tag = str(container.get("image", "")).rpartition("/")[2].partition(":")
            container["imagePullPolicy"] = "Always" if tag in ("", "latest") and "@" not in tag else "IfNotPresent"
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            http = dig(container, probe, "httpGet")
            if http is not None:
                http.setdefault("path", "/")
                http.setdefault("scheme", "HTTP")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def _containers(spec: JSON) -> list[JSON]:
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def pod_defaults(obj: JSON) -> None:
    """Defaults of a pod; requests follow limits."""
    spec = obj.setdefault("spec", {})
    pod_spec_defaults(spec)
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    for container in _containers(spec):
        limits = dig(container, "resources", "limits")
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)


def pod_created(obj: JSON) -> None:
    """A fresh pod is pending; its class of service follows from its resources."""
    obj["status"] = {"phase": "Pending", "qosClass": _quality(obj.get("spec") or {})}


def _quality(spec: JSON) -> str:
    guaranteed, any_resource = True, False
    for container in _containers(spec):
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            any_resource = any_resource or name in limits or name in requests
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not any_resource:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def pod_grace(obj: JSON, seconds: int | None) -> int:
    """Seconds a deletion leaves to the node: none before the pod is bound or after it has ended."""
    if not dig(obj, "spec", "nodeName") or dig(obj, "status", "phase") in ("Succeeded", "Failed"):
        return 0
    if seconds is not None:
        return max(seconds, 0)
    wanted = dig(obj, "spec", "terminationGracePeriodSeconds")
    return 30 if wanted is None else int(wanted)


def validate_pod(obj: JSON, old: JSON | None) -> list[Cause]:
    """A runnable spec that, once created, changes only in images and a few other fields."""
    spec = obj.get("spec") or {}
    causes = validate_pod_spec(spec, "spec")
    if old is not None and _frozen(spec) != _frozen(old.get("spec") or {}):
        why = (
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)"
        )
        causes.append(forbidden_field("spec", why))
    return causes


def _frozen(spec: JSON) -> JSON:
    """The part of a pod's spec that may not change after creation."""
    kept = {key: copy(value) for key, value in spec.items() if key not in _MUTABLE_SPEC}
    for container in _containers(kept):
        container.pop("image", None)
        container.pop("imagePullPolicy", None)
    kept.pop("ephemeralContainers", None)
    return kept


def validate_pod_spec(spec: JSON, where: str) -> list[Cause]:
    """Containers, names, ports, mounts, restart policy."""
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(required(f"{where}.containers"))
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            causes += _validate_container(container, f"{where}.{field}[{index}]", volumes)
    policies = ("Always", "Never", "OnFailure")
    if spec.get("restartPolicy", "Always") not in policies:
        causes.append(not_supported(f"{where}.restartPolicy", spec.get("restartPolicy"), policies))
    return causes


def _validate_container(container: JSON, where: str, volumes: set[Any]) -> list[Cause]:
    causes: list[Cause] = []
    if not container.get("name"):
        causes.append(required(f"{where}.name"))
    if not container.get("image"):
        causes.append(required(f"{where}.image"))
    for index, port in enumerate(container.get("ports") or []):
        causes += valid_port(port.get("containerPort"), f"{where}.ports[{index}].containerPort")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            field = f"{where}.volumeMounts[{index}].name"
            causes.append(Cause("FieldValueNotFound", f'Not found: "{mount.get("name")}"', field))
    resources = container.get("resources") or {}
    for name, amount in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(name)
        if "/" in name and limit is not None and str(limit) != str(amount):
            field = f"{where}.resources.requests"
            causes.append(invalid_value(field, str(amount), f"must be equal to {name} limit of {limit}"))
    return causes


def template_defaults(obj: JSON) -> None:
    """Defaults of the pod template inside a workload."""
    spec = dig(obj, "spec", "template", "spec")
    if isinstance(spec, dict):
        pod_spec_defaults(spec)


def deployment_defaults(obj: JSON) -> None:
    """Template and rollout strategy."""
    template_defaults(obj)
    strategy = obj.setdefault("spec", {}).setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def job_defaults(obj: JSON) -> None:
    """Completions, parallelism, backoff."""
    template_defaults(obj)
    spec = obj.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")


def job_created(obj: JSON) -> None:
    """The selector and labels a job's pods are found by."""
    obj["status"] = {}
    spec = obj.setdefault("spec", {})
    metadata = obj["metadata"]
    if not spec.get("manualSelector"):
        labels = {
            "batch.kubernetes.io/controller-uid": metadata["uid"],
            "batch.kubernetes.io/job-name": metadata["name"],
            "controller-uid": metadata["uid"],
            "job-name": metadata["name"],
        }
        spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {}).update(labels)
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}


def no_status(obj: JSON) -> None:
    """Status belongs to the controller: a creation leaves it empty."""
    obj["status"] = {}


def validate_workload(obj: JSON, old: JSON | None) -> list[Cause]:
    """The selector selects the template, never changes, and the template is a valid pod."""
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    selector = spec.get("selector")
    if not (dig(selector, "matchLabels") or dig(selector, "matchExpressions")):
        causes.append(required("spec.selector"))
    elif spec.get("template"):
        labels = dig(spec, "template", "metadata", "labels") or {}
        if not label_selector(selector)(labels):
            why = "`selector` does not match template `labels`"
            causes.append(invalid_value("spec.template.metadata.labels", labels, why))
    if old is not None and selector != dig(old, "spec", "selector"):
        causes.append(invalid_value("spec.selector", selector, "field is immutable"))
    if spec.get("template"):
        causes += validate_pod_spec(dig(spec, "template", "spec") or {}, "spec.template.spec")
    replicas = spec.get("replicas")
    if isinstance(replicas, int) and replicas < 0:
        causes.append(invalid_value("spec.replicas", replicas, "must be greater than or equal to 0"))
    return causes


def validate_job(obj: JSON, old: JSON | None) -> list[Cause]:
    """A template that ends, and that never changes."""
    template = dig(obj, "spec", "template", "spec") or {}
    causes = validate_pod_spec(template, "spec.template.spec")
    if template.get("restartPolicy") == "Always":
        why = '"OnFailure", "Never"'
        field = "spec.template.spec.restartPolicy"
        text = f'Unsupported value: "Always": supported values: {why}'
        causes.append(Cause("FieldValueNotSupported", text, field))
    if old is not None and dig(obj, "spec", "template") != dig(old, "spec", "template"):
        causes.append(invalid_value("spec.template", "...", "field is immutable"))
    return causes
