"""The list of built-in resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytest_modelrt.simulator.apiserver import crds
from pytest_modelrt.simulator.apiserver.kinds import core, pods
from pytest_modelrt.simulator.apiserver.kinds.columns import AGE, COLUMNS, NAME
from pytest_modelrt.simulator.apiserver.kinds.schemas import types
from pytest_modelrt.simulator.apiserver.kinds.workload_columns import WORKLOAD_COLUMNS
from pytest_modelrt.simulator.apiserver.resources import ALL_VERBS, Resource, Strategy, Subresource

STATUS = Subresource("status")
SCALE = Subresource("scale", kind="Scale", group="autoscaling", version="v1")

_REPLICAS = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".spec.selector",
}
_POD_FIELDS = {
    label: tuple(label.split("."))
    for label in (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    )
}
_EVENT_FIELDS: dict[str, tuple[str, ...]] = {
    **{
        f"involvedObject.{name}": ("involvedObject", name)
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    },
    "reason": ("reason",),
    "reportingComponent": ("reportingComponent",),
    "source": ("source", "component"),
    "type": ("type",),
}
_POD_SUBRESOURCES = (
    STATUS,
    Subresource("binding", ("create",), "Binding", "", "v1"),
    Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), "PodPortForwardOptions", "", "v1"),
    Subresource("exec", ("create", "get"), "PodExecOptions", "", "v1"),
    Subresource("attach", ("create", "get"), "PodAttachOptions", "", "v1"),
    Subresource("proxy", ("create", "delete", "get", "patch", "update"), "PodProxyOptions", "", "v1"),
    Subresource("ephemeralcontainers"),
)
_NO_COLLECTION = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
_CREATE = ("create",)
_ANY_METHOD = ("create", "delete", "get", "patch", "update")
_RBAC = "rbac.authorization.k8s.io/v1"

_PLAIN = Strategy()
_COUNTED = Strategy(generation=True)
_OWNED = Strategy(generation=True, on_create=pods.no_status)
_ANSWERING = Strategy(answers_deleted_object=True)


def _kind(
    api_version: str,
    plural: str,
    kind: str,
    strategy: Strategy = _PLAIN,
    *subresources: Subresource,
    short: str = "",
    cluster: bool = False,
    everyday: bool = False,
    **more: Any,
) -> Resource:
    """One resource; ``everyday`` puts it into the category ``all``, ``short`` holds short names."""
    group, _, version = api_version.rpartition("/")
    categories = ("all",) if everyday else ()
    more = {"categories": categories, "short_names": tuple(short.split()), **more}
    return Resource(group, version, plural, kind, not cluster, strategy=strategy, subresources=subresources, **more)


def _namespaces_and_nodes() -> Iterator[Resource]:
    namespace = Strategy(
        core.namespace_defaults,
        core.namespace_created,
        carry=core.namespace_carry,
        label_name=True,
        field_labels={"status.phase": ("status", "phase")},
    )
    finalize = Subresource("finalize", ("update",))
    yield _kind(
        "v1", "namespaces", "Namespace", namespace, finalize, STATUS, short="ns", cluster=True, verbs=_NO_COLLECTION
    )
    node = Strategy(
        keeps_status_on_create=True,
        field_labels={"spec.unschedulable": ("spec", "unschedulable")},
        field_defaults={"spec.unschedulable": "false"},
    )
    yield _kind("v1", "nodes", "Node", node, STATUS, short="no", cluster=True)


def _pods_and_services() -> Iterator[Resource]:
    pod = Strategy(
        pods.pod_defaults,
        pods.pod_created,
        pods.validate_pod,
        pods.pod_grace,
        generation=True,
        answers_deleted_object=True,
        field_labels=_POD_FIELDS,
        field_defaults={"spec.hostNetwork": "false"},
    )
    yield _kind("v1", "pods", "Pod", pod, *_POD_SUBRESOURCES, short="po", everyday=True)
    rules = core.ServiceRules()
    service = Strategy(
        rules.default,
        validate=rules.validate,
        label_name=True,
        answers_deleted_object=True,
        carry=rules.carry,
        field_labels={"spec.clusterIP": ("spec", "clusterIP"), "spec.type": ("spec", "type")},
    )
    proxy = Subresource("proxy", _ANY_METHOD, "ServiceProxyOptions", "", "v1")
    yield _kind("v1", "services", "Service", service, STATUS, proxy, short="svc", everyday=True)
    yield _kind("v1", "endpoints", "Endpoints", short="ep", singular="endpoints")
    yield _kind("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", _COUNTED)


def _configuration() -> Iterator[Resource]:
    config = Strategy(validate=core.validate_config_map)
    yield _kind("v1", "configmaps", "ConfigMap", config, short="cm")
    secret = Strategy(core.secret_defaults, validate=core.validate_secret, field_labels={"type": ("type",)})
    yield _kind("v1", "secrets", "Secret", secret)
    token = Subresource("token", _CREATE, "TokenRequest", "authentication.k8s.io", "v1")
    yield _kind("v1", "serviceaccounts", "ServiceAccount", _ANSWERING, token, short="sa")
    claim = Strategy(core.volume_claim_defaults, core.volume_claim_created, answers_deleted_object=True)
    yield _kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim", claim, STATUS, short="pvc")
    yield _kind("v1", "persistentvolumes", "PersistentVolume", _ANSWERING, STATUS, short="pv", cluster=True)
    yield _kind("v1", "resourcequotas", "ResourceQuota", _ANSWERING, STATUS, short="quota")
    yield _kind("v1", "limitranges", "LimitRange", short="limits")
    yield _kind("storage.k8s.io/v1", "storageclasses", "StorageClass", _ANSWERING, short="sc", cluster=True)
    yield _kind("coordination.k8s.io/v1", "leases", "Lease")
    yield _kind("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", short="pc", cluster=True)
    yield _kind("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", cluster=True)


def _events() -> Iterator[Resource]:
    plain = Strategy(validate=core.event_namespace, field_labels=_EVENT_FIELDS)
    yield _kind("v1", "events", "Event", plain, short="ev")
    modern = replace(plain, convert_in=core.event_in, convert_out=core.event_out)
    yield _kind("events.k8s.io/v1", "events", "Event", modern, short="ev", storage_of=("", "events"))


def _workload(default: Any = pods.template_defaults) -> Strategy:
    return Strategy(default=default, on_create=pods.no_status, validate=pods.validate_workload, generation=True)


def _workloads() -> Iterator[Resource]:
    scaled: dict[str, Any] = {"everyday": True, "scale_paths": _REPLICAS}
    deployment = _workload(pods.deployment_defaults)
    yield _kind("apps/v1", "deployments", "Deployment", deployment, SCALE, STATUS, short="deploy", **scaled)
    yield _kind("apps/v1", "replicasets", "ReplicaSet", _workload(), SCALE, STATUS, short="rs", **scaled)
    yield _kind("apps/v1", "statefulsets", "StatefulSet", _workload(), SCALE, STATUS, short="sts", **scaled)
    yield _kind("apps/v1", "daemonsets", "DaemonSet", _workload(), STATUS, short="ds", everyday=True)
    yield _kind("apps/v1", "controllerrevisions", "ControllerRevision")
    job = Strategy(pods.job_defaults, pods.job_created, pods.validate_job, generation=True)
    yield _kind("batch/v1", "jobs", "Job", job, STATUS, everyday=True)
    yield _kind("batch/v1", "cronjobs", "CronJob", _OWNED, STATUS, short="cj", everyday=True)
    yield _kind("v1", "replicationcontrollers", "ReplicationController", _OWNED, STATUS, short="rc", everyday=True)
    autoscaler = Strategy(on_create=pods.no_status)
    yield _kind(
        "autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", autoscaler, STATUS, short="hpa",
        everyday=True,
    )  # fmt: skip
    budget = Strategy(on_create=core.budget_created, generation=True)
    yield _kind("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", budget, STATUS, short="pdb")


def _policy() -> Iterator[Resource]:
    binding = Strategy(core.binding_defaults, validate=core.immutable("roleRef"))
    yield _kind(_RBAC, "roles", "Role")
    yield _kind(_RBAC, "rolebindings", "RoleBinding", binding)
    yield _kind(_RBAC, "clusterroles", "ClusterRole", cluster=True)
    yield _kind(_RBAC, "clusterrolebindings", "ClusterRoleBinding", binding, cluster=True)
    authorization, authentication = "authorization.k8s.io/v1", "authentication.k8s.io/v1"
    for kind in ("SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"):
        yield _kind(authorization, kind.lower() + "s", kind, cluster=True, verbs=_CREATE)
    yield _kind(authorization, "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=_CREATE)
    for kind in ("TokenReview", "SelfSubjectReview"):
        yield _kind(authentication, kind.lower() + "s", kind, cluster=True, verbs=_CREATE)
    yield _kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", _COUNTED, short="netpol")
    yield _kind("networking.k8s.io/v1", "ingresses", "Ingress", _OWNED, STATUS, short="ing")
    yield _kind("networking.k8s.io/v1", "ingressclasses", "IngressClass", cluster=True)


def _extensions() -> Iterator[Resource]:
    yield _kind(
        "apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", crds.strategy(), STATUS,
        short="crd crds", cluster=True, categories=("api-extensions",),
    )  # fmt: skip


_SOURCES = (
    _namespaces_and_nodes, _pods_and_services, _configuration, _events, _workloads, _policy, _extensions,
)  # fmt: skip


def builtin_resources() -> Iterator[Resource]:
    """Every built-in resource, with schema and columns."""
    schemas = types()
    columns = {**COLUMNS, **WORKLOAD_COLUMNS}
    for source in _SOURCES:
        for resource in source():
            known = columns.get(resource.kind, (NAME, AGE))
            yield replace(resource, schema=schemas.get(resource.kind, {}), columns=known)
