"""Resource quantities of Kubernetes and what pods ask of nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pytest_modelrt.simulator.client import Object

_SCALES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+)([numkMGTP]?i?)$")

Requests = dict[str, float]
"""Resource name -> amount."""


def parse_quantity(value: object) -> float:
    """``"10"``, ``"500m"``, ``"160Gi"`` as a number.

    Raises:
        ValueError: not a quantity.
    """
    match = _QUANTITY.match(str(value).strip())
    if match is None or match.group(2) not in _SCALES:
        raise ValueError(f"not a quantity: {value!r}")
    return float(match.group(1)) * _SCALES[match.group(2)]


def add(total: Requests, more: Mapping[str, float], sign: float = 1.0) -> None:
    """Add ``more`` to ``total`` in place."""
    for name, amount in more.items():
        total[name] = total.get(name, 0.0) + sign * amount


def container_requests(container: Object) -> Requests:
    """Requests of a container; a limit without a request counts as one."""
    resources = container.get("resources") or {}
    merged = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(value) for name, value in merged.items()}


def pod_requests(pod: Object) -> Requests:
    """What a pod takes from its node: the sum of its containers, or its greediest init container; and one pod."""
    total: Requests = {}
    for container in pod["spec"].get("containers") or []:
        add(total, container_requests(container))
    for container in pod["spec"].get("initContainers") or []:
        for name, amount in container_requests(container).items():
            total[name] = max(total.get(name, 0.0), amount)
    total["pods"] = 1.0
    return total


def pod_gpus(pod: Object) -> int:
    """GPUs a pod takes."""
    return int(pod_requests(pod).get("nvidia.com/gpu", 0))


def is_finished(pod: Object) -> bool:
    """Whether a pod's containers ended for good, so that it takes nothing any more."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def used(pods: Iterable[Object]) -> Requests:
    """What these pods take together. Terminating pods still take all they asked for."""
    total: Requests = {}
    for pod in pods:
        if not is_finished(pod):
            add(total, pod_requests(pod))
    return total
