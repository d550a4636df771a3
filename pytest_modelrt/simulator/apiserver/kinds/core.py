"""What is special about namespaces, secrets, services, events, roles and other small kinds."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Callable
from typing import Any

from pytest_modelrt.simulator.apiserver.errors import Cause, forbidden_field, invalid_value, not_supported, required
from pytest_modelrt.simulator.apiserver.values import JSON, dig

_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_KEY_NAME = re.compile(r"[-._a-zA-Z0-9]+")


def namespace_created(obj: JSON) -> None:
    """A namespace starts active and is held by its own finalizer."""
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def namespace_defaults(obj: JSON) -> None:
    """The label selectors by name rely on."""
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def namespace_carry(obj: JSON, old: JSON) -> None:
    """Finalizers of a namespace change only through its ``finalize`` path."""
    obj["spec"] = old.get("spec") or {}


def secret_defaults(obj: JSON) -> None:
    """Type ``Opaque``, and ``stringData`` folded into ``data``."""
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(str(value).encode()).decode()


def _keyed_data(obj: JSON, old: JSON | None) -> list[Cause]:
    causes = []
    for field in ("data", "binaryData"):
        for key in obj.get(field) or {}:
            if not _KEY_NAME.fullmatch(key) or len(key) > 253:
                why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                causes.append(invalid_value(f"{field}[{key}]", key, why))
    if old is not None and old.get("immutable"):
        if not obj.get("immutable"):
            causes.append(forbidden_field("immutable", "field is immutable when `immutable` is set"))
        for field in ("data", "binaryData"):
            if (obj.get(field) or {}) != (old.get(field) or {}):
                causes.append(forbidden_field(field, "field is immutable when `immutable` is set"))
    return causes


def validate_config_map(obj: JSON, old: JSON | None) -> list[Cause]:
    """Keys, and immutability where asked for."""
    return _keyed_data(obj, old)


def validate_secret(obj: JSON, old: JSON | None) -> list[Cause]:
    """Keys, base64 values, and a type that never changes."""
    causes = _keyed_data(obj, old)
    for key, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            causes.append(invalid_value(f"data[{key}]", "<redacted>", "must be base64"))
    if old is not None and obj.get("type") != old.get("type"):
        causes.append(invalid_value("type", obj.get("type"), "field is immutable"))
    return causes


class ServiceRules:
    """Defaults and validation of services; hands out cluster addresses."""

    def __init__(self) -> None:
        self._addresses = (f"10.96.{number >> 8 & 255}.{number & 255}" for number in itertools.count(10))
        self._node_ports = itertools.count(30000)

    def default(self, obj: JSON) -> None:
        """Addresses, families, ports and policies clients read."""
        spec = obj.setdefault("spec", {})
        for port in spec.get("ports") or []:
            port.setdefault("targetPort", port.get("port"))
            if spec.get("type") in ("NodePort", "LoadBalancer"):
                port.setdefault("nodePort", next(self._node_ports))
        if spec.get("type") != "ExternalName":
            if not spec.get("clusterIP"):
                spec["clusterIP"] = next(self._addresses)
            spec["clusterIPs"] = [spec["clusterIP"]]
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec.get("type") == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        obj.setdefault("status", {"loadBalancer": {}})

    def carry(self, obj: JSON, old: JSON) -> None:
        """An update that leaves the address out keeps the one there was."""
        spec, before = obj.setdefault("spec", {}), old.get("spec") or {}
        if not spec.get("clusterIP") and before.get("clusterIP") and spec.get("type") != "ExternalName":
            spec["clusterIP"] = before["clusterIP"]

    def validate(self, obj: JSON, old: JSON | None) -> list[Cause]:
        """Ports, type, and the immutable address."""
        spec = obj.get("spec") or {}
        causes: list[Cause] = []
        ports = spec.get("ports") or []
        if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
            causes.append(required("spec.ports"))
        for index, port in enumerate(ports):
            where = f"spec.ports[{index}]"
            causes += valid_port(port.get("port"), f"{where}.port")
            if len(ports) > 1 and not port.get("name"):
                causes.append(required(f"{where}.name"))
            name = port.get("name")
            if name and not _PORT_NAME.fullmatch(name):
                causes.append(invalid_value(f"{where}.name", name, "must be a lowercase RFC 1123 label"))
        types = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
        if spec.get("type") not in types:
            causes.append(not_supported("spec.type", spec.get("type"), types))
        before = dig(old, "spec", "clusterIP")
        if before and spec.get("clusterIP") != before and spec.get("type") != "ExternalName":
            causes.append(invalid_value("spec.clusterIPs[0]", spec.get("clusterIPs"), "may not change once set"))
        return causes


def valid_port(value: Any, field: str) -> list[Cause]:
    """A port number between 1 and 65535."""
    if isinstance(value, int) and not 0 < value < 65536:
        return [invalid_value(field, value, "must be between 1 and 65535, inclusive")]
    return []


def event_namespace(obj: JSON, _old: JSON | None) -> list[Cause]:
    """An event lives where its object does; cluster-scoped objects' events live in ``default``."""
    about = dig(obj, "involvedObject", "namespace") or ""
    namespace = obj["metadata"].get("namespace")
    if about != namespace and not (about == "" and namespace in ("default", "kube-system")):
        return [invalid_value("involvedObject.namespace", about, "does not match event.namespace")]
    return []


def event_in(obj: JSON) -> JSON:
    """From the events.k8s.io form to the stored core form."""
    renamed = {
        "regarding": "involvedObject",
        "note": "message",
        "deprecatedSource": "source",
        "deprecatedFirstTimestamp": "firstTimestamp",
        "deprecatedLastTimestamp": "lastTimestamp",
        "deprecatedCount": "count",
        "reportingController": "reportingComponent",
    }
    return _renamed(obj, renamed)


def event_out(obj: JSON) -> JSON:
    """From the stored core form to the events.k8s.io form."""
    renamed = {
        "involvedObject": "regarding",
        "message": "note",
        "source": "deprecatedSource",
        "firstTimestamp": "deprecatedFirstTimestamp",
        "lastTimestamp": "deprecatedLastTimestamp",
        "count": "deprecatedCount",
        "reportingComponent": "reportingController",
    }
    return _renamed(obj, renamed)


def _renamed(obj: JSON, names: dict[str, str]) -> JSON:
    return {names.get(key, key): value for key, value in obj.items()}


def immutable(*path: str) -> Callable[[JSON, JSON | None], list[Cause]]:
    """A rule that one field never changes."""
    field = ".".join(path)

    def rule(obj: JSON, old: JSON | None) -> list[Cause]:
        if old is not None and dig(obj, *path) != dig(old, *path):
            return [invalid_value(field, dig(obj, *path), "field is immutable")]
        return []

    return rule


def volume_claim_created(obj: JSON) -> None:
    """Claims start pending."""
    obj["status"] = {"phase": "Pending"}


def volume_claim_defaults(obj: JSON) -> None:
    """Volume mode."""
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def budget_created(obj: JSON) -> None:
    """A fresh budget has counted nothing yet."""
    obj["status"] = {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}


def binding_defaults(obj: JSON) -> None:
    """API groups of a role binding's parts."""
    reference = obj.get("roleRef")
    if isinstance(reference, dict):
        reference.setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")
