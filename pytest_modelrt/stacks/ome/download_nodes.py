"""A model that only some nodes download: the agents look at ``spec.storage.nodeAffinity`` (facts: OME 1.1, 2.5).

Deletion needs no such care: every agent takes up a deletion, whether or not its node was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.stacks.ome.context import dig

_FIELD = "metadata.name"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def placed(model: Object, nodes: Sequence[str]) -> Object:
    """``model`` for these nodes only; as it is without any, or when its file chooses nodes itself."""
    storage = dig(model, "spec", "storage")
    if not nodes or not isinstance(storage, dict) or storage.get("nodeSelector") or storage.get("nodeAffinity"):
        return model
    terms = [{"matchFields": [{"key": _FIELD, "operator": "In", "values": [node]}]} for node in nodes]
    chosen = {**storage, "nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": terms}}}
    return {**model, "spec": {**model["spec"], "storage": chosen}}


def nodes_of(model: Object) -> tuple[str, ...]:
    """The nodes ``placed`` chose; empty when it chose none."""
    terms = dig(model, "spec", "storage", "nodeAffinity", _REQUIRED, "nodeSelectorTerms") or []
    found: list[str] = []
    for term in terms:
        for field in term.get("matchFields") or []:
            if field.get("key") == _FIELD and field.get("operator") == "In":
                found += field.get("values") or []
    return tuple(found)
