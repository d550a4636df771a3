"""Strategic merge of pod specs, as OME lays an InferenceService over its runtime."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_MERGE_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


def merge_specs(base: Mapping[str, Any] | None, over: Mapping[str, Any] | None) -> dict[str, Any]:
    """``over`` laid over ``base``: maps merge, keyed lists merge by key, other lists replace, ``args`` are joined."""
    merged: dict[str, Any] = copy.deepcopy(dict(base or {}))
    for name, value in (over or {}).items():
        if value is None:
            continue
        merged[name] = _merge_value(name, merged.get(name), value)
    return merged


def _merge_value(name: str, base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return merge_specs(base, over)
    if name == "args" and isinstance(base, list):
        return [*base, *over]
    key = _MERGE_KEYS.get(name)
    if key is None or not isinstance(base, list) or not isinstance(over, list):
        return copy.deepcopy(over)
    merged = {entry.get(key): entry for entry in base}
    for entry in over:
        known = merged.get(entry.get(key))
        merged[entry.get(key)] = merge_specs(known, entry) if known is not None else copy.deepcopy(entry)
    return list(merged.values())
