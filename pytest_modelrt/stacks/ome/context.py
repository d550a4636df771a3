"""What the parts of the stack share about one case attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pytest_modelrt.clock import Clock, Deadline, rfc3339, utc_now
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import Object, Ownership
from pytest_modelrt.cluster.ownership import stamp
from pytest_modelrt.plan.model import Case, Deadlines
from pytest_modelrt.stacks.ome.names import Names
from pytest_modelrt.stacks.protocol import Observe

LEAST_REAL_SECONDS = 5.0
"""No silence shorter than this in real time proves anything: on a fast simulated cluster 90 s pass in a blink, and a
busy machine may need longer than that to deliver an event."""


@dataclass(slots=True)
class Context:
    """One case attempt on one cluster."""

    case: Case
    cluster: Cluster
    names: Names
    owner: Ownership
    deadlines: Deadlines
    observe: Observe
    nodes_wanted: int
    nodes_minimum: int
    history: list[tuple[str, str]] = field(default_factory=list)
    """(time, what changed), in the order seen; goes into the evidence."""

    @property
    def clock(self) -> Clock:
        """The cluster's clock."""
        return self.cluster.clock

    def now(self) -> float:
        """Cluster seconds that count: time during which the API was away does not."""
        return self.clock.monotonic() - self.cluster.outage_seconds

    def patience(self, seconds: float) -> float:
        """``seconds``, or what ``LEAST_REAL_SECONDS`` are on this cluster if that is more."""
        return max(seconds, LEAST_REAL_SECONDS * self.clock.speed) if self.clock.speed > 1 else seconds

    def deadline(self, seconds: float) -> Deadline:
        """A deadline in cluster seconds from now."""
        return Deadline(self.clock, seconds)

    def saw(self, what: str) -> None:
        """Keep a change of status for the evidence."""
        self.history.append((rfc3339(utc_now()), what))

    def stamped(self, obj: Object) -> Object:
        """``obj`` with our labels and expiry."""
        return stamp(obj, self.owner)


def relaxed(deadlines: Deadlines, speed: float) -> Deadlines:
    """Deadlines none of which is shorter than ``LEAST_REAL_SECONDS`` on a cluster of that speed."""
    if speed <= 1:
        return deadlines
    least = round(LEAST_REAL_SECONDS * speed)
    longer = {field.name: max(least, getattr(deadlines, field.name)) for field in fields(Deadlines)}
    # All new services queue for the one worker that reconciles them, and requests do not get faster with the clock.
    return Deadlines(**longer | {"reconcile": max(2 * least, deadlines.reconcile)})


def dig(obj: Any, *path: str) -> Any:
    """The value at ``path``, or None when anything on the way is missing."""
    for key in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def name_of(obj: Object) -> str:
    """``metadata.name``."""
    return str(dig(obj, "metadata", "name") or "")


def label(obj: Object, key: str) -> str | None:
    """A label's value."""
    value = dig(obj, "metadata", "labels", key)
    return None if value is None else str(value)


def condition(obj: Object, kind: str) -> Object:
    """The status condition of that type, or ``{}``."""
    conditions: Sequence[Any] = dig(obj, "status", "conditions") or []
    for item in conditions:
        if isinstance(item, dict) and item.get("type") == kind:
            return item
    return {}


def is_true(obj: Object, kind: str) -> bool:
    """Whether that condition is True."""
    return condition(obj, kind).get("status") == "True"
