"""Endpoints and EndpointSlices of services, from their ready pods."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.deletion import DeleteOptions, Deleter
from pytest_modelrt.simulator.apiserver.housekeeping.job import OPTIONS, Job, builtin
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource
from pytest_modelrt.simulator.apiserver.store import Event, Key, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import JSON, dig
from pytest_modelrt.simulator.apiserver.writer import Writer

_SERVICES, _PODS = ("", "services"), ("", "pods")
_ENDPOINTS, _SLICES = ("", "endpoints"), ("discovery.k8s.io", "endpointslices")
_SERVICE_LABEL = "kubernetes.io/service-name"
_HEADLESS = "service.kubernetes.io/headless"


def _facts(obj: JSON) -> tuple[Any, ...]:
    """What about a pod matters to a service."""
    ready = next((c.get("status") for c in dig(obj, "status", "conditions") or [] if c.get("type") == "Ready"), None)
    meta = obj["metadata"]
    return (meta.get("labels"), dig(obj, "status", "podIP"), dig(obj, "status", "phase"), ready,
            meta.get("deletionTimestamp") is None)  # fmt: skip


class EndpointsJob(Job[Key]):
    """Keeps one Endpoints object and one slice per service with a selector."""

    def __init__(self, store: Store, catalog: Catalog, writer: Writer, deleter: Deleter) -> None:
        super().__init__(store)
        self._catalog = catalog
        self._writer = writer
        self._deleter = deleter

    def observe(self, event: Event) -> None:
        """Mark services that changed, and those that select a pod that did."""
        if event.storage == _SERVICES:
            self.mark(event.snapshot.key)
        elif event.storage == _PODS:
            now, before = event.snapshot.object, event.previous.object if event.previous else None
            if event.type == "MODIFIED" and before is not None and _facts(now) == _facts(before):
                return
            labels = [obj["metadata"].get("labels") or {} for obj in (now, before) if obj is not None]
            for key, service in self.store.collection(_SERVICES).objects.items():
                if key[0] == event.snapshot.key[0] and any(_selects(service.object, item) for item in labels):
                    self.mark(key)

    async def reconcile(self, key: Key) -> None:
        """Write what the ready pods make of a service, or remove what is left of a gone one."""
        namespace, name = key
        service = self.store.get(_SERVICES, namespace, name)
        if service is None:
            await self._clean(namespace, name)
            return
        if not dig(service.object, "spec", "selector") or service.object["metadata"].get("deletionTimestamp"):
            return
        pods = [
            snapshot.object
            for place, snapshot in sorted(self.store.collection(_PODS).objects.items())
            if place[0] == namespace and _selects(service.object, snapshot.object["metadata"].get("labels") or {})
        ]
        labels = dict(service.object["metadata"].get("labels") or {})
        if dig(service.object, "spec", "clusterIP") == "None":
            labels[_HEADLESS] = ""
        subsets = _subsets(service.object, pods)
        body = {"metadata": {"name": name, "labels": labels}, "subsets": subsets}
        endpoints = builtin(self._catalog, "", "v1", "endpoints")
        await self._write(endpoints, namespace, self.store.get(_ENDPOINTS, namespace, name), body)
        await self._write_slice(namespace, service, pods, labels)

    async def _write(self, resource: Resource, namespace: str, current: Snapshot | None, body: JSON) -> None:
        if current is None:
            await self._writer.create(resource, namespace, body, OPTIONS)
            return
        name = current.key[1]

        def change(old: JSON) -> JSON:
            meta = {**old["metadata"], "labels": body["metadata"]["labels"]}
            return {**old, **body, "metadata": meta}

        await self._writer.update(resource, namespace, name, change, OPTIONS)

    def _slices(self, namespace: str, name: str) -> list[Snapshot]:
        return [
            snapshot
            for key, snapshot in self.store.collection(_SLICES).objects.items()
            if key[0] == namespace and (snapshot.object["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == name
        ]

    async def _write_slice(self, namespace: str, service: Snapshot, pods: list[JSON], labels: JSON) -> None:
        meta = service.object["metadata"]
        owner = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"], "controller": True,
                 "blockOwnerDeletion": True}  # fmt: skip
        manager = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
        body = {
            "metadata": {
                "generateName": meta["name"] + "-",
                "labels": {**labels, **manager, _SERVICE_LABEL: meta["name"]},
                "ownerReferences": [owner],
            },
            "addressType": "IPv4",
            "endpoints": [_slice_endpoint(service.object, pod) for pod in pods if _countable(pod)],
            # Unlike in Endpoints, an unnamed port has the empty name: kubectl reads it without looking.
            "ports": [{"name": "", **port} for port in _ports(service.object, next(filter(_countable, pods), None))],
        }
        current = next(iter(self._slices(namespace, meta["name"])), None)
        await self._write(builtin(self._catalog, "discovery.k8s.io", "v1", "endpointslices"), namespace, current, body)

    async def _clean(self, namespace: str, name: str) -> None:
        if self.store.get(_ENDPOINTS, namespace, name) is not None:
            endpoints = builtin(self._catalog, "", "v1", "endpoints")
            await self._deleter.delete(endpoints, namespace, name, DeleteOptions(), OPTIONS)
        slices = builtin(self._catalog, "discovery.k8s.io", "v1", "endpointslices")
        for snapshot in self._slices(namespace, name):
            await self._deleter.delete(slices, namespace, snapshot.key[1], DeleteOptions(), OPTIONS)


def _selects(service: JSON, labels: JSON) -> bool:
    selector = dig(service, "spec", "selector")
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _countable(pod: JSON) -> bool:
    return bool(dig(pod, "status", "podIP")) and dig(pod, "status", "phase") not in ("Succeeded", "Failed")


def _ready(service: JSON, pod: JSON) -> bool:
    if dig(service, "spec", "publishNotReadyAddresses"):
        return True
    return _facts(pod)[3] == "True" and not pod["metadata"].get("deletionTimestamp")


def _target(pod: JSON) -> JSON:
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def _ports(service: JSON, pod: JSON | None) -> list[JSON]:
    """Service ports with their targets resolved in ``pod``; ports a pod does not have are left out."""
    found = []
    for port in dig(service, "spec", "ports") or []:
        target = port.get("targetPort", port.get("port"))
        if isinstance(target, str) and not target.isdigit():
            target = next((number for name, number in _named_ports(pod) if name == target), None)
        if target is None:
            continue
        entry: JSON = {"port": int(target), "protocol": port.get("protocol", "TCP")}
        if port.get("name"):
            entry["name"] = port["name"]
        found.append(entry)
    return found


def _named_ports(pod: JSON | None) -> list[tuple[str, int]]:
    containers = dig(pod, "spec", "containers") or []
    return [(port.get("name", ""), port["containerPort"]) for item in containers for port in item.get("ports") or []]


def _subsets(service: JSON, pods: list[JSON]) -> list[JSON]:
    """Addresses grouped by the ports they serve."""
    groups: dict[str, JSON] = {}
    for pod in pods:
        if not _countable(pod):
            continue
        ports = _ports(service, pod)
        subset = groups.setdefault(str(ports), {"addresses": [], "notReadyAddresses": [], "ports": ports})
        address = {"ip": dig(pod, "status", "podIP"), "targetRef": _target(pod)}
        if dig(pod, "spec", "nodeName"):
            address["nodeName"] = dig(pod, "spec", "nodeName")
        subset["addresses" if _ready(service, pod) else "notReadyAddresses"].append(address)
    return [{key: value for key, value in subset.items() if value} for subset in groups.values()]


def _slice_endpoint(service: JSON, pod: JSON) -> JSON:
    ready = _ready(service, pod)
    going = bool(pod["metadata"].get("deletionTimestamp"))
    endpoint: JSON = {
        "addresses": [dig(pod, "status", "podIP")],
        "conditions": {"ready": ready, "serving": _facts(pod)[3] == "True", "terminating": going},
        "targetRef": _target(pod),
    }
    if dig(pod, "spec", "nodeName"):
        endpoint["nodeName"] = dig(pod, "spec", "nodeName")
    return endpoint
