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
_OWNED = Strategy(generation=True, on_create=pods.no_status)


def _workload(default: Any = pods.template_defaults, created: Any = pods.no_status, validate: Any = None) -> Strategy:
    rule = validate or pods.validate_workload
    return Strategy(default=default, on_create=created, validate=rule, generation=True)


def _core() -> Iterator[Resource]:
    namespaces = Strategy(
        core.namespace_defaults,
        core.namespace_created,
        carry=core.namespace_carry,
        label_name=True,
        field_labels={"status.phase": ("status", "phase")},
    )
    finalize = Subresource("finalize", ("update",))
    yield Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        False,
        short_names=("ns",),
        verbs=_NO_COLLECTION,
        strategy=namespaces,
        subresources=(finalize, STATUS),
    )
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
    yield Resource(
        "", "v1", "pods", "Pod", short_names=("po",), categories=("all",), strategy=pod, subresources=_POD_SUBRESOURCES
    )
    rules = core.ServiceRules()
    service = Strategy(
        rules.default,
        validate=rules.validate,
        label_name=True,
        answers_deleted_object=True,
        carry=rules.carry,
        field_labels={"spec.clusterIP": ("spec", "clusterIP"), "spec.type": ("spec", "type")},
    )
    proxy = Subresource("proxy", ("create", "delete", "get", "patch", "update"), "ServiceProxyOptions", "", "v1")
    yield Resource(
        "",
        "v1",
        "services",
        "Service",
        short_names=("svc",),
        categories=("all",),
        strategy=service,
        subresources=(STATUS, proxy),
    )
    yield Resource("", "v1", "endpoints", "Endpoints", singular="endpoints", short_names=("ep",))
    event = Strategy(validate=core.event_namespace, field_labels=_EVENT_FIELDS)
    yield Resource("", "v1", "events", "Event", short_names=("ev",), strategy=event)
    config = Strategy(validate=core.validate_config_map)
    yield Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",), strategy=config)
    secret = Strategy(core.secret_defaults, validate=core.validate_secret, field_labels={"type": ("type",)})
    yield Resource("", "v1", "secrets", "Secret", strategy=secret)
    token = Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1")
    account = Strategy(answers_deleted_object=True)
    yield Resource(
        "", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",), strategy=account, subresources=(token,)
    )
    node = Strategy(
        keeps_status_on_create=True,
        field_labels={"spec.unschedulable": ("spec", "unschedulable")},
        field_defaults={"spec.unschedulable": "false"},
    )
    yield Resource("", "v1", "nodes", "Node", False, short_names=("no",), strategy=node, subresources=(STATUS,))
    claim = Strategy(core.volume_claim_defaults, core.volume_claim_created, answers_deleted_object=True)
    yield Resource(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short_names=("pvc",),
        strategy=claim,
        subresources=(STATUS,),
    )
    answers = Strategy(answers_deleted_object=True)
    yield Resource(
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        False,
        short_names=("pv",),
        strategy=answers,
        subresources=(STATUS,),
    )
    yield Resource(
        "", "v1", "resourcequotas", "ResourceQuota", short_names=("quota",), strategy=answers, subresources=(STATUS,)
    )
    yield Resource("", "v1", "limitranges", "LimitRange", short_names=("limits",))
    yield Resource(
        "",
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        short_names=("rc",),
        categories=("all",),
        strategy=_OWNED,
        subresources=(STATUS,),
    )


def _workloads() -> Iterator[Resource]:
    def apps(plural: str, kind: str, short: str, strategy: Strategy, *more: Subresource) -> Resource:
        return Resource(
            "apps",
            "v1",
            plural,
            kind,
            short_names=(short,),
            categories=("all",),
            strategy=strategy,
            subresources=(*more, STATUS),
            scale_paths=_REPLICAS if more else None,
        )

    yield apps("deployments", "Deployment", "deploy", _workload(pods.deployment_defaults), SCALE)
    yield apps("replicasets", "ReplicaSet", "rs", _workload(), SCALE)
    yield apps("statefulsets", "StatefulSet", "sts", _workload(), SCALE)
    yield apps("daemonsets", "DaemonSet", "ds", _workload())
    yield Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
    job = _workload(pods.job_defaults, pods.job_created, pods.validate_job)
    yield Resource("batch", "v1", "jobs", "Job", categories=("all",), strategy=job, subresources=(STATUS,))
    yield Resource(
        "batch",
        "v1",
        "cronjobs",
        "CronJob",
        short_names=("cj",),
        categories=("all",),
        strategy=_OWNED,
        subresources=(STATUS,),
    )
    yield Resource(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        strategy=Strategy(on_create=pods.no_status),
        subresources=(STATUS,),
    )
    budget = Strategy(on_create=core.budget_created, generation=True)
    yield Resource(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        short_names=("pdb",),
        strategy=budget,
        subresources=(STATUS,),
    )


def _policy() -> Iterator[Resource]:
    rbac = "rbac.authorization.k8s.io"
    binding = Strategy(core.binding_defaults, validate=core.immutable("roleRef"))
    yield Resource(rbac, "v1", "roles", "Role")
    yield Resource(rbac, "v1", "rolebindings", "RoleBinding", strategy=binding)
    yield Resource(rbac, "v1", "clusterroles", "ClusterRole", False)
    yield Resource(rbac, "v1", "clusterrolebindings", "ClusterRoleBinding", False, strategy=binding)
    create = ("create",)
    authorization, authentication = "authorization.k8s.io", "authentication.k8s.io"
    yield Resource(authorization, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, verbs=create)
    yield Resource(authorization, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False, verbs=create)
    yield Resource(authorization, "v1", "subjectaccessreviews", "SubjectAccessReview", False, verbs=create)
    yield Resource(authorization, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=create)
    yield Resource(authentication, "v1", "tokenreviews", "TokenReview", False, verbs=create)
    yield Resource(authentication, "v1", "selfsubjectreviews", "SelfSubjectReview", False, verbs=create)


def _others() -> Iterator[Resource]:
    yield Resource("coordination.k8s.io", "v1", "leases", "Lease")
    yield Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", strategy=Strategy(generation=True))
    event = Strategy(
        validate=core.event_namespace, field_labels=_EVENT_FIELDS, convert_in=core.event_in, convert_out=core.event_out
    )
    yield Resource(
        "events.k8s.io", "v1", "events", "Event", short_names=("ev",), strategy=event, storage_of=("", "events")
    )
    networking = "networking.k8s.io"
    yield Resource(
        networking,
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        short_names=("netpol",),
        strategy=Strategy(generation=True),
    )
    yield Resource(
        networking, "v1", "ingresses", "Ingress", short_names=("ing",), strategy=_OWNED, subresources=(STATUS,)
    )
    yield Resource(networking, "v1", "ingressclasses", "IngressClass", False)
    answers = Strategy(answers_deleted_object=True)
    yield Resource(
        "storage.k8s.io", "v1", "storageclasses", "StorageClass", False, short_names=("sc",), strategy=answers
    )
    yield Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, short_names=("pc",))
    yield Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False)
    yield Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        strategy=crds.strategy(),
        subresources=(STATUS,),
    )


def builtin_resources() -> Iterator[Resource]:
    """Every built-in resource, with schema and columns."""
    schemas = types()
    columns = {**COLUMNS, **WORKLOAD_COLUMNS}
    for source in (_core, _workloads, _policy, _others):
        for resource in source():
            known = columns.get(resource.kind, (NAME, AGE))
            yield replace(resource, schema=schemas.get(resource.kind, {}), columns=known)
