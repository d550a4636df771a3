"""Subresources that change or create something: scale, binding, eviction, finalize."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver import jsonpath
from pytest_modelrt.simulator.apiserver.deletion import DeleteOptions, Deleter
from pytest_modelrt.simulator.apiserver.errors import StatusError, bad_request, conflict, invalid, invalid_value
from pytest_modelrt.simulator.apiserver.kinds.columns import labels_text
from pytest_modelrt.simulator.apiserver.kinds.schemas import types
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.schema.typed import check_types
from pytest_modelrt.simulator.apiserver.selectors import label_selector
from pytest_modelrt.simulator.apiserver.store import Changed, Snapshot
from pytest_modelrt.simulator.apiserver.values import JSON, copy, dig, timestamp
from pytest_modelrt.simulator.apiserver.writer import Writer

_BUDGETS = ("policy", "poddisruptionbudgets")


def scale_of(resource: Resource, obj: JSON) -> JSON:
    """The Scale an object shows."""
    paths = resource.scale_paths or {}

    def number(path: str) -> int:
        found = jsonpath.find(obj, path) if path else []
        return int(found[0]) if found and isinstance(found[0], int) else 0

    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    scale: JSON = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": number(paths.get("specReplicasPath", ""))},
        "status": {"replicas": number(paths.get("statusReplicasPath", ""))},
    }
    found = jsonpath.find(obj, paths["labelSelectorPath"]) if paths.get("labelSelectorPath") else []
    if found:
        text = found[0] if isinstance(found[0], str) else labels_text(dig(found[0], "matchLabels"))
        scale["status"]["selector"] = text
    return scale


def rescaled(resource: Resource, obj: JSON, scale: JSON) -> JSON:
    """``obj`` with the replicas a Scale asks for; raises 409 for a stale Scale, 422 for a bad number."""
    check_types(scale, types()["Scale"], "Scale", "v1")
    replicas = dig(scale, "spec", "replicas")
    name = obj["metadata"]["name"]
    version = dig(scale, "metadata", "resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise conflict(resource, name)
    if not isinstance(replicas, int) or replicas < 0:
        why = "must be greater than or equal to 0"
        raise invalid("Scale.autoscaling", name, [invalid_value("spec.replicas", replicas, why)])
    path = (resource.scale_paths or {}).get("specReplicasPath", ".spec.replicas").lstrip(".").split(".")
    changed: JSON = copy(obj)
    holder = changed
    for step in path[:-1]:
        holder = holder.setdefault(step, {})
    holder[path[-1]] = replicas
    return changed


async def bind_pod(writer: Writer, resource: Resource, namespace: str, name: str, body: Any) -> JSON:
    """Assign a pod to a node; raises 400, 404, 409."""
    node = str(dig(body, "target", "name") or "")
    if not node:
        raise bad_request("binding target must have a name")
    while True:
        current = writer.find(resource, namespace, name)
        bound = dig(current.object, "spec", "nodeName")
        if bound:
            raise conflict(resource, name, f'pod {name} is already assigned to node "{bound}"')
        if current.object["metadata"].get("deletionTimestamp"):
            raise conflict(resource, name, f"pod {name} is being deleted, cannot be assigned to a host")
        obj = copy(current.object)
        obj["spec"]["nodeName"] = node
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": timestamp()}
        status = obj.setdefault("status", {})
        others = [item for item in status.get("conditions") or [] if item.get("type") != "PodScheduled"]
        status["conditions"] = [*others, scheduled]
        annotations = dig(body, "metadata", "annotations")
        if annotations:
            obj["metadata"].setdefault("annotations", {}).update(annotations)
        try:
            writer.commit(resource, current, obj)
        except Changed:
            continue
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def evict_pod(
    deleter: Deleter, resource: Resource, namespace: str, name: str, body: Any, options: WriteOptions
) -> JSON:
    """Delete a pod unless a disruption budget forbids it; raises 404, 429."""
    pod = deleter.writer.find(resource, namespace, name)
    labels = pod.object["metadata"].get("labels") or {}
    if dig(pod.object, "status", "phase") == "Running":
        for key, snapshot in deleter.store.collection(_BUDGETS).objects.items():
            if key[0] != namespace or not label_selector(dig(snapshot.object, "spec", "selector"))(labels):
                continue
            if (dig(snapshot.object, "status", "disruptionsAllowed") or 0) <= 0:
                raise _budget_refusal(key[1], snapshot)
    check_types(body, types()["Eviction"], "Eviction", "v1")
    wish = DeleteOptions.parse(dig(body, "deleteOptions"), {})
    await deleter.delete(resource, namespace, name, wish, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _budget_refusal(name: str, budget: Snapshot) -> StatusError:
    healthy = dig(budget.object, "status", "currentHealthy") or 0
    wanted = dig(budget.object, "status", "desiredHealthy") or 0
    why = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", text, {"causes": [{"reason": "DisruptionBudget", "message": why}]})


def finalize_namespace(writer: Writer, resource: Resource, name: str, body: Any) -> Snapshot:
    """Set a namespace's finalizers; the last one gone lets a terminating namespace go. Raises 404, 409."""
    current = writer.find(resource, "", name)
    version = dig(body, "metadata", "resourceVersion")
    if version and version != current.object["metadata"]["resourceVersion"]:
        raise conflict(resource, name)
    obj = copy(current.object)
    wanted = list(dig(body, "spec", "finalizers") or [])
    obj["spec"] = {"finalizers": wanted} if wanted else {}
    if obj == current.object:
        return current
    return writer.commit(resource, current, obj)
