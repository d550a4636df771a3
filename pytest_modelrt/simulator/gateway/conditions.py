"""Conditions as the gateway's controllers write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.platform import timestamp


def condition(kind: str, value: bool, reason: str, message: str, generation: int) -> Object:
    """One condition, without its time."""
    return {
        "type": kind,
        "status": "True" if value else "False",
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
    }


def timed(wanted: Sequence[Object], known: Iterable[Object] | None) -> list[Object]:
    """``wanted`` with times: those of ``known`` where the status is the same."""
    before = {held["type"]: held for held in known or ()}
    now = timestamp()
    return [
        {
            **entry,
            "lastTransitionTime": held["lastTransitionTime"]
            if (held := before.get(entry["type"])) is not None and held["status"] == entry["status"]
            else now,
        }
        for entry in wanted
    ]


def holds(obj: Object | None, kind: str) -> bool:
    """Whether a condition of an object is True."""
    known = ((obj or {}).get("status") or {}).get("conditions") or []
    return any(entry["type"] == kind and entry["status"] == "True" for entry in known)
