"""Per-node download state, read from the ConfigMaps of the model agents (facts: OME 2.2). Read only when asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import CONFIG_MAP, Object
from pytest_modelrt.stacks.ome.context import dig, label, name_of
from pytest_modelrt.stacks.ome.names import NODE_STATUS_LABEL, SYSTEM_NAMESPACE, entry_key, node_label

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeEntries:
    """What the agents say about one model, and what else they are busy with."""

    own: Mapping[str, Entry] = field(default_factory=dict)
    """Node name -> this model's entry."""
    others: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    """Other model -> node name -> its entry, only those ``Updating``."""

    def with_status(self, status: str) -> list[str]:
        """Nodes whose entry has that status, sorted."""
        return sorted(node for node, entry in self.own.items() if entry.get("status") == status)

    @property
    def completed_bytes(self) -> int:
        """Bytes arrived on all nodes that report progress."""
        return sum(_completed(entry) for entry in self.own.values())

    def fingerprint(self) -> tuple[object, ...]:
        """Changes whenever a download that matters moved: ours once picked up, before that any that is ahead of us."""
        if self.own:
            return ("own", *((node, e.get("status"), _completed(e)) for node, e in sorted(self.own.items())))
        ahead = ((model, node, _completed(e)) for model, nodes in self.others.items() for node, e in nodes.items())
        return ("queue", *sorted(ahead))


def read_entries(cluster: Cluster, model: str) -> NodeEntries:
    """All entries now; a value that is no JSON counts as absent."""
    own: dict[str, Entry] = {}
    others: dict[str, dict[str, Entry]] = {}
    prefix = entry_key("")
    for config_map in cluster.list(CONFIG_MAP, SYSTEM_NAMESPACE, labels=NODE_STATUS_LABEL):
        node = name_of(config_map)
        for key, text in (config_map.get("data") or {}).items():
            entry = _parse(text)
            if entry is None or not key.startswith(prefix):
                continue
            if key == entry_key(model):
                own[node] = entry
            elif entry.get("status") == "Updating":
                others.setdefault(key.removeprefix(prefix), {})[node] = entry
    return NodeEntries(own, others)


def labels_of(nodes: list[Object], model: str) -> dict[str, str]:
    """Node name -> value of the model's label, where there is one."""
    key = node_label(model)
    found = ((name_of(node), label(node, key)) for node in nodes)
    return {name: value for name, value in found if value is not None}


def _completed(entry: Entry) -> int:
    value = dig(entry, "progress", "completedBytes")
    return value if isinstance(value, int) else 0


def _parse(text: str) -> Entry | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
