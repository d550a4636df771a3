"""A serving stack behind one Protocol: stages drive it without knowing whether it is OME or KServe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pytest_modelrt.cluster.model import Object, Ownership, Ref
from pytest_modelrt.diagnosis.model import Evidence
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.plan.model import Campaign, Case

if TYPE_CHECKING:
    from pytest_modelrt.cluster.cluster import Cluster

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


@dataclass(frozen=True, slots=True)
class StackRequest:
    """What a stack is made from; see the hook ``pytest_modelrt_make_stack``."""

    case: Case
    cluster: Cluster
    campaign: Campaign
    config_dir: Path
    run_dir: Path
    owner: Ownership
    observe: Observe
    ahead: bool = False
    """Downloads run ahead: the deletion of a model, which queues behind them, is asked for and not waited for."""
    nodes: tuple[str, ...] = ()
    """The nodes that are to download the model; empty: those its file says."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A download, looked at once."""

    mark: object
    """Equal to that of an earlier look when nothing has moved between the two."""
    patience: float
    """Cluster seconds without movement that mean a stall."""
    nodes: tuple[str, ...]
    """Where it is under way."""


@runtime_checkable
class DownloadsAhead(Protocol):
    """What a stack adds whose models can be downloaded before their case begins."""

    def request_model(self) -> None:
        """Check the case, apply its model exactly as the case will, and return at once.

        Raises:
            StackFailure, ClusterError: not now; the case itself will say why.
        """

    def model_complete(self, model: Object) -> bool:
        """Whether enough nodes hold the model, by its status."""

    def download_progress(self) -> Progress | None:
        """How far the download is; None while no node has begun it.

        Raises:
            ClusterError: it cannot be seen now.
        """

    def delete_model(self) -> Ready:
        """Delete the model."""


@runtime_checkable
class Retriable(Protocol):
    """What a stack adds whose stages can be tried again."""

    def mend(self, cause: str) -> tuple[str, ...]:
        """Change what the next try of the stage applies, where policy allows; says what was changed.

        Empty: for this cause there is nothing to change, or it was changed before.

        Raises:
            StackFailure, ClusterError: it cannot be changed.
        """

    def reset(self, stage: Stage) -> bool:
        """Remove what a failed try of a stage left; False: something stays, and another try would meet it."""


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

    def delete_service(self, *, wait: bool = True) -> Ready:
        """Delete service, wait for its pods, delete the namespace, wait; leftovers are warnings.

        Without ``wait`` the service's deletion is only asked for: an interrupted run has seconds, the sweep the rest.
        """

    def delete_runtime(self) -> Ready:
        """Delete the runtime."""

    def delete_model(self) -> Ready:
        """Delete the model and wait until it is gone."""

    def live(self, stage: Stage) -> Object:
        """The object that stage created, as last seen; empty when it created none."""

    def leftovers(self) -> list[Ref]:
        """What of ours is still there."""

    def objects(self) -> list[Object]:
        """The objects that would be applied, in order (dry run)."""
