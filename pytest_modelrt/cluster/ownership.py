"""What is ours: the labels every object we create carries, and the check before every write."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_modelrt.cluster.model import EXPIRES, MANAGED_BY, MANAGER, RUN_ID, NotOurs, Object, Ownership


def stamp(obj: Object, owner: Ownership) -> Object:
    """A copy of ``obj`` that carries the owner's labels and expiry."""
    stamped = copy.deepcopy(obj)
    metadata = stamped.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **owner.labels()}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), EXPIRES: owner.expires}
    return stamped


def run_of(obj: Mapping[str, Any]) -> str | None:
    """The run that made the object, ``None`` when it is not one of ours."""
    labels = obj.get("metadata", {}).get("labels") or {}
    if labels.get(MANAGED_BY) != MANAGER:
        return None
    run_id = labels.get(RUN_ID)
    return str(run_id) if run_id else None


def is_ours(obj: Mapping[str, Any], run_id: str) -> bool:
    """Whether the object was made by this run."""
    return run_of(obj) == run_id


def has_expired(obj: Mapping[str, Any], now: datetime) -> bool:
    """Whether a run made the object and its expiry has passed; an unreadable expiry never passes."""
    if run_of(obj) is None:
        return False
    text = (obj.get("metadata", {}).get("annotations") or {}).get(EXPIRES, "")
    try:
        expires = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return expires.replace(tzinfo=expires.tzinfo or UTC) <= now


def require_ours(obj: Mapping[str, Any], run_id: str | None, what: str) -> None:
    """Raise NotOurs unless the object carries our labels and this run's id."""
    if run_id is None:
        raise NotOurs(f"{what}: this connection belongs to no run and may only read")
    found = run_of(obj)
    if found == run_id:
        return
    whose = f"it belongs to run {found}" if found else f"it does not carry our labels ({MANAGED_BY}, {RUN_ID})"
    raise NotOurs(f"{what} is not ours: {whose}; this run is {run_id}")
