"""What one node says about its models: a label of the node and an entry of the node's ConfigMap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.controllers.naming import model_key, model_label
from pytest_modelrt.simulator.resources import CONFIG_MAPS, NODES, OME_NAMESPACE

STATUS_LABEL = "models.ome/basemodel-status"


class NodeEntries:
    """Writes labels and entries of one node, one write at a time; the label goes first."""

    def __init__(self, client: ApiClient, node: str) -> None:
        self._client = client
        self._node = node
        self._lock = asyncio.Lock()
        self._labels: dict[str, str] = {}
        self._entries: dict[str, dict[str, Any]] = {}

    def adopt(self, node: Object | None, config_map: Object | None) -> None:
        """Take over what an earlier run of the agent left."""
        for name, value in ((node or {}).get("metadata", {}).get("labels") or {}).items():
            if name.startswith("models.ome.io/"):
                self._labels[name] = value
        for key, text in ((config_map or {}).get("data") or {}).items():
            try:
                self._entries[key] = json.loads(text)
            except ValueError:
                continue

    def config_of(self, model: Object) -> Mapping[str, Any]:
        """The parsed metadata this node holds about a model; empty if there is none."""
        entry = self._entries.get(_key(model), {})
        config: Mapping[str, Any] = entry.get("config") or {}
        return config

    async def mark(
        self,
        model: Object,
        status: str,
        config: Mapping[str, Any] | None = None,
        *,
        entry_status: str | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> None:
        """Set label, then entry, of a model; ``entry_status`` if the two are to differ."""
        metadata = model["metadata"]
        entry = {**self._entries.get(_key(model), {}), "name": metadata["name"], "status": entry_status or status}
        entry.pop("progress", None)
        if config is not None:
            entry["config"] = dict(config)
        if progress is not None:
            entry["progress"] = dict(progress)
        async with self._lock:
            await self._label(model_label(metadata["name"], metadata.get("namespace", "")), status)
            await self._write({_key(model): entry})

    async def report(self, progress: Mapping[str, Mapping[str, Any]]) -> None:
        """Set the progress of several models, by key, in one write; models no longer updating are left alone."""
        async with self._lock:
            fresh = {
                key: {**self._entries[key], "progress": dict(value)}
                for key, value in progress.items()
                if self._entries.get(key, {}).get("status") == "Updating"
            }
            if fresh:
                await self._write(fresh)

    async def clear(self, model: Object) -> None:
        """Remove label and entry of a model."""
        metadata = model["metadata"]
        async with self._lock:
            await self._label(model_label(metadata["name"], metadata.get("namespace", "")), None)
            if _key(model) in self._entries:
                await self._write({_key(model): None})

    async def repair(self, config_map: Object | None) -> None:
        """Bring back entries somebody removed. A ConfigMap that is gone altogether comes back without its labels."""
        async with self._lock:
            data = (config_map or {}).get("data") or {}
            missing = {key: entry for key, entry in self._entries.items() if key not in data}
            if not missing:
                return
            if config_map is None:
                await self._create(missing, labelled=False)
            else:
                await self._write(missing)

    async def _label(self, name: str, value: str | None) -> None:
        if self._labels.get(name) == value:
            return
        await self._client.patch(NODES, self._node, {"metadata": {"labels": {name: value}}})
        if value is None:
            self._labels.pop(name, None)
        else:
            self._labels[name] = value

    async def _write(self, entries: Mapping[str, dict[str, Any] | None]) -> None:
        data = {key: None if entry is None else _text(entry) for key, entry in entries.items()}
        try:
            await self._client.patch(CONFIG_MAPS, self._node, {"data": data}, OME_NAMESPACE)
        except ApiStatusError as error:
            if not error.not_found:
                raise
            await self._create({key: entry for key, entry in entries.items() if entry is not None}, labelled=True)
        for key, entry in entries.items():
            if entry is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = entry

    async def _create(self, entries: Mapping[str, dict[str, Any]], *, labelled: bool) -> None:
        metadata: Object = {
            "name": self._node,
            "annotations": {"models.ome.io/node-name": self._node, "models.ome.io/managed-by": "model-agent"},
        }
        if labelled:
            metadata["labels"] = {STATUS_LABEL: "true", "node": self._node}
        data = {key: _text(entry) for key, entry in entries.items()}
        await self._client.create(CONFIG_MAPS, {"metadata": metadata, "data": data}, OME_NAMESPACE)


def _key(model: Object) -> str:
    metadata = model["metadata"]
    return model_key(metadata["name"], metadata.get("namespace", ""))


def _text(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"))
