"""Presets: specs that every LLMInferenceService starts from, and how its own spec is laid over them."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.kserve.naming import child_name

_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
}
"""Lists of a pod whose entries are matched by a field; all other lists are replaced as a whole."""
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_CHILD = re.compile(r"ChildName \.ObjectMeta\.Name [`\"](-[a-z0-9-]+)[`\"]")


class PresetError(Exception):
    """A preset cannot be used; the text is what the condition says."""


@cache
def stock_presets() -> tuple[Object, ...]:
    """The presets KServe installs, as far as single-node services use them. Shared: treat as read-only."""
    text = files(__package__).joinpath("presets.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load_all(text))


def merge(base: Any, over: Any, field: str = "") -> Any:
    """``over`` laid on ``base`` by the rules of a strategic merge; neither is changed."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        merged = {name: copy.deepcopy(value) for name, value in base.items() if name not in over}
        return {**merged, **{name: merge(base.get(name), value, name) for name, value in over.items()}}
    key = _KEYS.get(field)
    if key and isinstance(base, list) and isinstance(over, list):
        wanted = {entry.get(key): entry for entry in over}
        kept = [merge(entry, wanted.pop(entry.get(key), {})) for entry in base]
        return [*kept, *(copy.deepcopy(entry) for entry in wanted.values())]
    return copy.deepcopy(base if over is None else over)


def render(spec: Any, service: Object) -> Any:
    """``spec`` with the templates in its texts filled in from ``service``.

    Raises:
        PresetError: a template asks for something that is not known here.
    """
    if isinstance(spec, Mapping):
        return {name: render(value, service) for name, value in spec.items()}
    if isinstance(spec, list):
        return [render(value, service) for value in spec]
    if isinstance(spec, str) and "{{" in spec:
        return _ACTION.sub(lambda match: _value(match[1], service), spec)
    return spec


def _value(action: str, service: Object) -> str:
    metadata = service["metadata"]
    known = {
        ".ObjectMeta.Name": metadata["name"],
        ".ObjectMeta.Namespace": metadata["namespace"],
        ".Spec.Model.Name": service["spec"]["model"].get("name") or metadata["name"],
        ".Spec.Model.URI": service["spec"]["model"]["uri"],
        ".GlobalConfig.IngressGatewayName": "kserve-ingress-gateway",
        ".GlobalConfig.IngressGatewayNamespace": "kserve",
    }
    child = _CHILD.fullmatch(action)
    if child:
        return child_name(metadata["name"], child[1])
    if action not in known:
        raise PresetError(f"failed to execute template: can't evaluate {action}")
    return str(known[action])
