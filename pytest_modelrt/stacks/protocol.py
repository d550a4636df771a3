"""A serving stack behind one Protocol: stages drive it without knowing whether it is OME or KServe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_modelrt.cluster.model import Object, Ref
from pytest_modelrt.diagnosis.model import Evidence
from pytest_modelrt.journal.model import Stage

Observe = Callable[[str, dict[str, Any]], None]
"""``observe(what, data)``: tell the journal something that was seen on the way."""


class StackFailure(Exception):
    """A stage of a stack gave up.

    ``reason`` is what the waiting code saw (``deadline``, ``terminal-state``, ``rejected``, ...); diagnosis turns the
    collected evidence into a cause.
    """

    def __init__(self, stage: Stage, reason: str, detail: str, *, cause: str | None = None) -> None:
        super().__init__(detail)
        self.stage = stage
        self.reason = reason
        self.detail = detail
        self.cause = cause
        """Slug, only where the stack knows it beyond doubt (for example arithmetic before any download)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a served model answers."""

    namespace: str
    pod: str
    port: int
    served_name: str
    router_pod: str | None = None
    router_port: int | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What a stage found when it was done; ``facts`` go into the verdict."""

    facts: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Stack(Protocol):
    """One instance per case attempt."""

    def preflight(self) -> Ready:
        """Files present and valid, weights fit, names free or ours. Touches nothing."""

    def apply_model(self) -> Ready:
        """Create the model and wait until the wanted nodes hold it."""

    def apply_runtime(self) -> Ready:
        """Compare runtime with model, repair by policy, create it."""

    def apply_service(self) -> Ready:
        """Create namespace and service, wait until it is ready to be asked."""

    def endpoint(self) -> Endpoint:
        """Where to ask, once the service is ready."""

    def collect(self, failure: StackFailure) -> Evidence:
        """Everything known about the case now; never raises because something is missing."""

    def delete_service(self) -> Ready:
        """Delete service, wait for its pods, delete the namespace, wait; leftovers are warnings."""

    def delete_runtime(self) -> Ready:
        """Delete the runtime."""

    def delete_model(self) -> Ready:
        """Delete the model and wait until it is gone."""

    def leftovers(self) -> list[Ref]:
        """What of ours is still there."""

    def objects(self) -> list[Object]:
        """The objects that would be applied, in order (dry run)."""
