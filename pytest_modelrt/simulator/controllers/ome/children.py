"""The objects a service consists of besides its pods (facts: ome.md, 4.6). Pure: each returns (resource, object)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.naming import (
    COMPONENT_LABEL,
    SERVICE_LABEL,
    model_config_name,
    worker_set_name,
)
from pytest_modelrt.simulator.controllers.ome.components import Component, Setting
from pytest_modelrt.simulator.controllers.platform import owner_reference
from pytest_modelrt.simulator.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    INGRESSES,
    LEADER_WORKER_SETS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)

Child = tuple[Resource, Object]

_NODE_TYPE = "ray.io/node-type"
_UTILISATION = 80


def model_config(setting: Setting, model: Object) -> Child:
    """The ConfigMap that lists the models of the service."""
    listed = [
        {"modelName": model["metadata"]["name"], "modelSpec": {"storageUri": model["spec"]["storage"]["storageUri"]}}
    ]
    metadata = _metadata(setting, model_config_name(setting.name), {SERVICE_LABEL: setting.name})
    return CONFIG_MAPS, {"metadata": metadata, "data": {"models.json": json.dumps(listed, separators=(",", ":"))}}


def raw_children(component: Component) -> Iterator[Child]:
    """Deployment, Service, HPA and PDB of a component in RawDeployment mode; the router's accounts first."""
    setting, spec = component.setting, component.spec
    pod = component.pod_spec()
    if component.kind == "router":
        yield from _router_access(component)
    metadata = _metadata(setting, component.name, component.labels, spec.get("annotations"))
    yield DEPLOYMENTS, {"metadata": metadata, "spec": _deployment_spec(component, pod)}
    yield SERVICES, _component_service(component, pod)
    if (setting.service["metadata"].get("annotations") or {}).get("ome.io/autoscalerClass") != "external":
        yield AUTOSCALERS, {"metadata": metadata, "spec": _autoscaler_spec(component)}
    if setting.profile.disruption_budgets:
        limit = {"minAvailable": spec["minAvailable"]} if "minAvailable" in spec else None
        limit = limit or {"maxUnavailable": spec.get("maxUnavailable", 1)}
        selector = {"matchLabels": {"app": component.name}}
        yield DISRUPTION_BUDGETS, {"metadata": metadata, "spec": {**limit, "selector": selector}}


def multinode_children(component: Component) -> Iterator[Child]:
    """LeaderWorkerSet and Service of a component that spans nodes."""
    leader, worker, workers = component.group_specs()
    setting, labels = component.setting, component.labels
    annotations = component.spec.get("annotations")
    template = {
        "size": workers + 1,
        "restartPolicy": "RecreateGroupOnPodRestart",
        "leaderTemplate": {"metadata": {"labels": {**labels, _NODE_TYPE: "head"}}, "spec": leader},
        "workerTemplate": {"metadata": {"labels": {**labels, _NODE_TYPE: "worker"}}, "spec": worker},
    }
    spec = {
        "replicas": component.spec.get("minReplicas", 1),
        "startupPolicy": "LeaderCreated",
        "leaderWorkerTemplate": template,
    }
    name = worker_set_name(setting.name, component.kind)
    yield LEADER_WORKER_SETS, {"metadata": _metadata(setting, name, labels, annotations), "spec": spec}
    metadata = _metadata(setting, component.name, labels, annotations)
    service = {"selector": {_NODE_TYPE: "head"}, "ports": _service_ports(leader)}
    yield SERVICES, {"metadata": metadata, "spec": service}


def external_service(setting: Setting, entry: Component) -> Child:
    """The Service in front of router or engine that stands for the ingress when there is none."""
    pod = entry.pod_spec() if entry.mode != "MultiNode" else entry.group_specs()[0]
    port = _service_ports(pod)[0]
    number = port["port"] if setting.profile.url_has_port else 80
    target = port["targetPort"]
    metadata = _metadata(setting, setting.name, {SERVICE_LABEL: setting.name, COMPONENT_LABEL: "external-service"})
    selector = {SERVICE_LABEL: setting.name, COMPONENT_LABEL: entry.kind}
    ports = [{"name": "http", "port": number, "targetPort": target, "protocol": "TCP"}]
    return SERVICES, {"metadata": metadata, "spec": {"selector": selector, "ports": ports}}


def ingress(setting: Setting, entry: Component, host: str) -> Child:
    """The way in from outside, to router or engine."""
    port = {"number": entry_port(entry)}
    backend = {"service": {"name": entry.name, "port": port}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    metadata = _metadata(setting, setting.name, {SERVICE_LABEL: setting.name})
    return INGRESSES, {"metadata": metadata, "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]}}


def entry_port(entry: Component) -> int:
    """The port clients reach the entry component at."""
    pod = entry.pod_spec() if entry.mode != "MultiNode" else entry.group_specs()[0]
    return int(_service_ports(pod)[0]["port"])


def _metadata(
    setting: Setting, name: str, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> Object:
    metadata: Object = {"name": name, "namespace": setting.namespace, "labels": dict(labels)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    metadata["ownerReferences"] = [owner_reference(setting.service)]
    return metadata


def _deployment_spec(component: Component, pod: Mapping[str, Any]) -> Object:
    labels = component.labels
    template: Object = {"metadata": {"labels": labels}, "spec": pod}
    if component.spec.get("annotations"):
        template["metadata"]["annotations"] = dict(component.spec["annotations"])
    strategy = component.spec.get("deploymentStrategy") or {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    return {
        "selector": {"matchLabels": {"app": component.name}},
        "template": template,
        "strategy": strategy,
        "progressDeadlineSeconds": 600,
    }


def _component_service(component: Component, pod: Mapping[str, Any]) -> Object:
    annotations = component.setting.service["metadata"].get("annotations") or {}
    spec = {
        "selector": {"app": component.name},
        "ports": _service_ports(pod),
        "type": annotations.get("ome.io/service-type", "ClusterIP"),
    }
    return {"metadata": _metadata(component.setting, component.name, component.labels), "spec": spec}


def _service_ports(pod: Mapping[str, Any]) -> list[Object]:
    declared = pod["containers"][0].get("ports") or [{"containerPort": 8080}]
    ports = []
    for port in declared:
        number = port["containerPort"]
        entry = {"port": number, "targetPort": number, "protocol": port.get("protocol", "TCP")}
        ports.append({"name": port.get("name") or f"port-{number}", **entry} if len(declared) > 1 else entry)
        if port.get("name"):
            ports[-1]["name"] = port["name"]
    return ports


def _autoscaler_spec(component: Component) -> Object:
    spec = component.spec
    least = max(1, int(spec.get("minReplicas", 1)))
    metric = spec.get("scaleMetric", "cpu")
    target = {"type": "Utilization", "averageUtilization": int(spec.get("scaleTarget", _UTILISATION))}
    return {
        "minReplicas": least,
        "maxReplicas": max(int(spec.get("maxReplicas", least)), least),
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": component.name},
        "metrics": [{"type": "Resource", "resource": {"name": metric, "target": target}}],
    }


def _router_access(component: Component) -> Iterator[Child]:
    """What lets the router find the engines: an account that may read the pods of its namespace."""
    setting, name = component.setting, component.name
    metadata = _metadata(setting, name, component.labels)
    if not setting.profile.router_rbac_owned:
        del metadata["ownerReferences"]
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    subject = {"kind": "ServiceAccount", "name": name, "namespace": setting.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    yield SERVICE_ACCOUNTS, {"metadata": metadata}
    yield ROLES, {"metadata": metadata, "rules": rules}
    yield ROLE_BINDINGS, {"metadata": metadata, "roleRef": role, "subjects": [subject]}
