"""The base-model controller: from the entries of the nodes to the status of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.finalizers import add_finalizer, remove_finalizer
from pytest_modelrt.simulator.controllers.naming import model_key
from pytest_modelrt.simulator.controllers.ome.logs import Log
from pytest_modelrt.simulator.controllers.outages import pause
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting
from pytest_modelrt.simulator.informer import key_of
from pytest_modelrt.simulator.resources import (
    BASE_MODELS,
    CLUSTER_BASE_MODELS,
    CONFIG_MAPS,
    NODES,
    OME_NAMESPACE,
    Resource,
)
from pytest_modelrt.simulator.scenario import ControllerRule, Scenario
from pytest_modelrt.simulator.workqueue import WorkQueue

STATUS_LABEL = "models.ome/basemodel-status"
"""Label of the ConfigMaps that hold the entries of a node."""

_COMPONENT = "v1beta1Controllers"
_STILL_THERE = 30.0
"""Cluster seconds between looks at a model whose entries are not cleared yet."""

_FILLED = ("modelType", "modelArchitecture", "modelParameterSize", "modelCapabilities", "maxTokens")

ModelKey = tuple[Resource, str, str]
"""Kind, namespace and name of a model."""


@dataclass(slots=True)
class _Entry:
    """What one node says about one model."""

    status: str
    config: Mapping[str, Any] = field(default_factory=dict)


class BaseModelController:
    """Keeps finalizer, status and missing spec fields of ClusterBaseModels and BaseModels."""

    def __init__(self, platform: Platform, log: Log) -> None:
        self._client = platform.client.as_component("ome-controller-manager")
        self._profile = platform.profile
        self._events = platform.events(_COMPONENT)
        self._log = log.named("controllers.BaseModel")
        self._nodes = platform.informers.of(NODES)
        self._config_maps = platform.informers.of(CONFIG_MAPS)
        self._models = {kind: platform.informers.of(kind) for kind in (CLUSTER_BASE_MODELS, BASE_MODELS)}
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._queue: WorkQueue[ModelKey] = WorkQueue("basemodel", self._reconcile, platform.clock, workers=2)
        for kind, informer in self._models.items():
            informer.on_change(partial(self._on_model, kind))
        self._config_maps.on_change(self._on_config_map)
        self._nodes.on_change(self._on_node)

    def ignore(self, times: Sequence[ControllerRule], scenario: Scenario) -> None:
        """Do nothing about any object at these times, and say nothing."""
        self._queue.paused = lambda: pause(times, scenario, self._queue.clock)

    async def run(self) -> None:
        """Reconcile until cancelled, beginning with every model there is."""
        for kind, informer in self._models.items():
            for namespace, name in informer.cache:
                self._queue.add((kind, namespace, name))
        await self._queue.run()

    def _on_model(self, kind: Resource, event: str, obj: Object, _old: Object | None) -> None:
        if event != "DELETED":
            self._queue.add((kind, *key_of(obj)))

    def _on_node(self, event: str, node: Object, _old: Object | None) -> None:
        """A lost node takes its entries along, so every model it held counts anew."""
        name = node["metadata"]["name"]
        if event == "MODIFIED" or not any(name in nodes for nodes in self._entries.values()):
            return
        for key, nodes in self._entries.items():
            if name in nodes:
                self._enqueue(key)
        if event == "DELETED" and self._profile.cleans_lost_nodes:
            self._queue.add((NODES, "", name))

    def _on_config_map(self, event: str, config_map: Object, old: Object | None) -> None:
        metadata = config_map["metadata"]
        if metadata["namespace"] != OME_NAMESPACE:
            return
        counted = event != "DELETED" and (metadata.get("labels") or {}).get(STATUS_LABEL) == "true"
        data = (config_map.get("data") or {}) if counted else {}
        before = (old.get("data") or {}) if old is not None else {}
        node = metadata["name"]
        for key in before.keys() | data.keys():
            if counted and before.get(key) == data.get(key) and node in self._entries.get(key, ()):
                continue
            if self._update_entry(key, node, data.get(key)):
                self._enqueue(key)

    def _update_entry(self, key: str, node: str, text: str | None) -> bool:
        """Take over one entry; returns whether anything but its progress changed."""
        nodes = self._entries.setdefault(key, {})
        known = nodes.get(node)
        if text is None:
            nodes.pop(node, None)
            if not nodes:
                del self._entries[key]
            return known is not None
        try:
            parsed = json.loads(text)
            fresh = _Entry(parsed.get("status", ""), parsed.get("config") or {})
        except (ValueError, AttributeError):
            fresh = _Entry("")
        nodes[node] = fresh
        return known != fresh

    def _enqueue(self, key: str) -> None:
        scope, _, name = key.partition(".")
        if scope == "clusterbasemodel":
            self._queue.add((CLUSTER_BASE_MODELS, "", name))
            return
        namespace, _, name = key.partition(".basemodel.")
        self._queue.add((BASE_MODELS, namespace, name))

    async def _reconcile(self, key: ModelKey) -> float | None:
        kind, namespace, name = key
        if kind is NODES:
            await self._remove_entries_of(name)
            return None
        model = self._models[kind].get(name, namespace)
        if model is None:
            return None
        finalizer = f"{kind.plural}.ome.io/finalizer"
        finalizers = model["metadata"].get("finalizers") or []
        if is_deleting(model):
            return await self._finish_deletion(kind, model, finalizer) if finalizer in finalizers else None
        if finalizer not in finalizers:
            await add_finalizer(self._client, kind, model, finalizer)
            if self._profile.model_events:
                await self._events.record(model, "Normal", "FinalizerAdded", f"Added finalizer {finalizer}")
            return 0.0
        entries = self._entries.get(model_key(name, namespace), {})
        await self._fill_spec(kind, model, entries)
        state = await self._write_status(kind, model, entries)
        return self._profile.in_transit_requeue if state == "In_Transit" else None

    async def _finish_deletion(self, kind: Resource, model: Object, finalizer: str) -> float | None:
        namespace, name = key_of(model)
        holders = sorted(self._entries.get(model_key(name, namespace), ()))
        info = f"{namespace}/{name}" if namespace else name
        if holders:
            self._log.info(
                "Waiting for model to be cleared from ConfigMaps",
                model=info,
                nodesNotDeleted=len(holders),
                nodes=holders,
            )
            return _STILL_THERE
        await remove_finalizer(self._client, kind, model, finalizer)
        self._log.info("Finalizer removed, deletion complete", model=info)
        return None

    async def _write_status(self, kind: Resource, model: Object, entries: Mapping[str, _Entry]) -> str:
        present = {node: entry for node, entry in entries.items() if self._nodes.get(node) is not None}
        ready = sorted(node for node, entry in present.items() if entry.status == "Ready")
        failed = sorted(node for node, entry in present.items() if entry.status == "Failed")
        state = "Ready" if ready else "Failed" if failed else "In_Transit"
        status = {"state": state, "nodesReady": ready or None, "nodesFailed": failed or None}
        old = model.get("status") or {}
        if any(old.get(name) != value for name, value in status.items()):
            metadata = model["metadata"]
            await self._client.patch_status(kind, metadata["name"], status, metadata.get("namespace"))
        return state

    async def _fill_spec(self, kind: Resource, model: Object, entries: Mapping[str, _Entry]) -> None:
        config = next((entry.config for entry in entries.values() if entry.config), None)
        if config is None:
            return
        missing = missing_fields(model["spec"], config, (*_FILLED, "modelFramework", "modelFormat"))
        if missing:
            metadata = model["metadata"]
            patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": missing}
            await self._client.patch(kind, metadata["name"], patch, metadata.get("namespace"))

    async def _remove_entries_of(self, node: str) -> None:
        if self._nodes.get(node) is not None:
            return
        try:
            await self._client.delete(CONFIG_MAPS, node, OME_NAMESPACE)
        except ApiStatusError as error:
            if not error.not_found:
                raise


def missing_fields(spec: Mapping[str, Any], config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of ``names`` that the spec lacks and the parsed config has; presets are never corrected."""
    missing = {}
    for name in names:
        value, present = config.get(name), spec.get(name)
        if isinstance(present, Mapping):
            present = present.get("name")
        if value not in (None, "", []) and not present:
            missing[name] = value
    return missing
