"""Table columns of the built-in kinds, except pods and workloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_modelrt.simulator.apiserver.humanize import age
from pytest_modelrt.simulator.apiserver.resources import Column
from pytest_modelrt.simulator.apiserver.values import JSON, dig

NAME = Column("Name", lambda obj: obj["metadata"]["name"], format="name", description="Name of the object.")
AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")), description="Time since creation.")


def text(name: str, *path: str, absent: Any = "", priority: int = 0) -> Column:
    """A column that shows one field."""

    def cell(obj: JSON) -> Any:
        value = dig(obj, *path)
        return absent if value in (None, "") else value

    return Column(name, cell, priority=priority)


def computed(name: str, cell: Callable[[JSON], Any], *, type: str = "string", priority: int = 0) -> Column:
    """A column with a computed cell."""
    return Column(name, cell, type=type, priority=priority)


def labels_text(labels: Any) -> str:
    """``a=b,c=d`` or ``<none>``."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


def selector_text(selector: Any) -> str:
    """A LabelSelector as text."""
    return labels_text(dig(selector, "matchLabels"))


def _service_ports(obj: JSON) -> str:
    parts = []
    for port in dig(obj, "spec", "ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or "<none>"


def _external_ip(obj: JSON) -> str:
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or "<none>")
    ingress = dig(obj, "status", "loadBalancer", "ingress") or []
    found = [str(item.get("ip") or item.get("hostname")) for item in ingress] + list(spec.get("externalIPs") or [])
    if found:
        return ",".join(found)
    return "<pending>" if spec.get("type") == "LoadBalancer" else "<none>"


def _endpoints(obj: JSON) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or []
        for port in subset.get("ports") or [{}]
        for address in subset.get("addresses") or []
    ]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or "<none>"


def _slice_ports(obj: JSON) -> str:
    return ",".join(str(port.get("port")) for port in obj.get("ports") or []) or "<unset>"


def _slice_addresses(obj: JSON) -> str:
    found = [address for endpoint in obj.get("endpoints") or [] for address in endpoint.get("addresses") or []]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or "<unset>"


def _event_last_seen(obj: JSON) -> str:
    stamp = obj.get("lastTimestamp") or obj.get("eventTime") or obj.get("firstTimestamp")
    return age(dig(obj, "series", "lastObservedTime") or stamp)


def _event_object(obj: JSON) -> str:
    about = obj.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _node_status(obj: JSON) -> str:
    ready = next((c for c in dig(obj, "status", "conditions") or [] if c.get("type") == "Ready"), None)
    state = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return state + (",SchedulingDisabled" if dig(obj, "spec", "unschedulable") else "")


def _node_roles(obj: JSON) -> str:
    prefix = "node-role.kubernetes.io/"
    found = [key.removeprefix(prefix) for key in dig(obj, "metadata", "labels") or {} if key.startswith(prefix)]
    return ",".join(sorted(found)) or "<none>"


def _node_address(kind: str) -> Callable[[JSON], str]:
    def cell(obj: JSON) -> str:
        for item in dig(obj, "status", "addresses") or []:
            if item.get("type") == kind:
                return str(item.get("address"))
        return "<none>"

    return cell


def _count(*fields: str) -> Callable[[JSON], int]:
    return lambda obj: sum(len(obj.get(field) or {}) for field in fields)


def _subjects(kind: str) -> Callable[[JSON], str]:
    def cell(obj: JSON) -> str:
        found = [item for item in obj.get("subjects") or [] if item.get("kind") == kind]
        return ", ".join(f"{s['namespace']}/{s['name']}" if s.get("namespace") else s["name"] for s in found)

    return cell


def _role_ref(obj: JSON) -> str:
    return f"{dig(obj, 'roleRef', 'kind')}/{dig(obj, 'roleRef', 'name')}"


def _budget(field: str) -> Callable[[JSON], str]:
    return lambda obj: str(value) if (value := dig(obj, "spec", field)) is not None else "N/A"


_CREATED = Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp"))
_BINDING = (
    NAME,
    computed("Role", _role_ref),
    AGE,
    computed("Users", _subjects("User"), priority=1),
    computed("Groups", _subjects("Group"), priority=1),
    computed("ServiceAccounts", _subjects("ServiceAccount"), priority=1),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "Namespace": (NAME, text("Status", "status", "phase"), AGE),
    "ConfigMap": (NAME, computed("Data", _count("data", "binaryData")), AGE),
    "Secret": (NAME, text("Type", "type"), computed("Data", _count("data"), type="integer"), AGE),
    "ServiceAccount": (NAME, AGE),
    "Service": (
        NAME,
        text("Type", "spec", "type"),
        text("Cluster-IP", "spec", "clusterIP", absent="<none>"),
        computed("External-IP", _external_ip),
        computed("Port(s)", _service_ports),
        AGE,
        computed("Selector", lambda obj: labels_text(dig(obj, "spec", "selector")), priority=1),
    ),
    "Endpoints": (NAME, computed("Endpoints", _endpoints), AGE),
    "EndpointSlice": (
        NAME,
        text("AddressType", "addressType"),
        computed("Ports", _slice_ports),
        computed("Endpoints", _slice_addresses),
        AGE,
    ),
    "Event": (
        computed("Last Seen", _event_last_seen),
        text("Type", "type"),
        text("Reason", "reason"),
        computed("Object", _event_object),
        text("Subobject", "involvedObject", "fieldPath", priority=1),
        text("Source", "source", "component", priority=1),
        computed("Message", lambda obj: str(obj.get("message", "")).strip()),
        computed("First Seen", lambda obj: age(obj.get("firstTimestamp") or obj.get("eventTime")), priority=1),
        computed("Count", lambda obj: dig(obj, "series", "count") or obj.get("count") or 1, priority=1),
        Column("Name", lambda obj: obj["metadata"]["name"], format="name", priority=1),
    ),
    "Node": (
        NAME,
        computed("Status", _node_status),
        computed("Roles", _node_roles),
        AGE,
        text("Version", "status", "nodeInfo", "kubeletVersion"),
        computed("Internal-IP", _node_address("InternalIP"), priority=1),
        computed("External-IP", _node_address("ExternalIP"), priority=1),
        text("OS-Image", "status", "nodeInfo", "osImage", absent="<unknown>", priority=1),
        text("Kernel-Version", "status", "nodeInfo", "kernelVersion", absent="<unknown>", priority=1),
        text("Container-Runtime", "status", "nodeInfo", "containerRuntimeVersion", absent="<unknown>", priority=1),
    ),
    "CustomResourceDefinition": (NAME, _CREATED),
    "Role": (NAME, _CREATED),
    "ClusterRole": (NAME, _CREATED),
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "Lease": (NAME, text("Holder", "spec", "holderIdentity"), AGE),
    "PersistentVolumeClaim": (
        NAME,
        text("Status", "status", "phase"),
        text("Volume", "spec", "volumeName"),
        text("Capacity", "status", "capacity", "storage"),
        computed("Access Modes", lambda obj: ",".join(dig(obj, "status", "accessModes") or [])),
        text("StorageClass", "spec", "storageClassName"),
        AGE,
    ),
    "StorageClass": (NAME, text("Provisioner", "provisioner"), text("ReclaimPolicy", "reclaimPolicy"), AGE),
    "PodDisruptionBudget": (
        NAME,
        computed("Min Available", _budget("minAvailable")),
        computed("Max Unavailable", _budget("maxUnavailable")),
        text("Allowed Disruptions", "status", "disruptionsAllowed", absent=0),
        AGE,
    ),
}
