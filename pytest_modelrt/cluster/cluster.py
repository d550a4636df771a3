"""The face of the room: one cluster, as the rest of the suite sees it.

Objects are plain dictionaries. Writes touch only what carries our run id. Every call has socket timeouts and rides out
an API server that is away for less than the tolerated time; every wait takes a deadline and stops its clock meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pytest_modelrt.clock import Clock, Deadline
from pytest_modelrt.cluster.model import (
    ClusterInfo,
    ClusterTarget,
    Object,
    Ref,
    Resource,
    Selection,
    WatchEvent,
)

if TYPE_CHECKING:
    import httpx

Objects = list[Object]
PatchKind = Literal["merge", "json", "strategic"]
OutageHook = Callable[[float, float | None], None]
"""``hook(started, ended)`` in cluster seconds of the clock; ``ended`` is ``None`` when the outage begins."""


class Cluster:
    """A connection to one cluster, thread-safe; ``run_id`` decides what it may change."""

    info: ClusterInfo
    clock: Clock
    run_id: str | None

    @classmethod
    def connect(
        cls,
        target: ClusterTarget,
        *,
        run_id: str | None = None,
        tolerate_outage: float = 300,
        first_contact: float = 30,
    ) -> Cluster:
        """Connect and ask for the version.

        ``run_id``: the run whose objects may be written and deleted; without one the connection only reads.
        ``tolerate_outage``, ``first_contact``: cluster seconds the API may be away later, and right now.
        Raises ClusterError (one line) for a bad kubeconfig, ApiUnavailable, ApiError (401, 403).
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the sockets back."""
        raise NotImplementedError

    def for_run(self, run_id: str | None) -> Cluster:
        """The same connection, allowed to change the objects of another run (or of none)."""
        raise NotImplementedError

    def on_outage(self, hook: OutageHook) -> None:
        """Call ``hook(started, None)`` when the API goes away and ``hook(started, ended)`` when it is back."""
        raise NotImplementedError

    @property
    def outage_seconds(self) -> float:
        """Cluster seconds the API was away so far, the running outage included: what stopwatches should subtract."""
        raise NotImplementedError

    def apply(self, obj: Object) -> Object:
        """Server-side apply as ``pytest-modelrt``; forced only over what is ours. Raises NotOurs, ApiError."""
        raise NotImplementedError

    def create(self, obj: Object) -> Object:
        """Create; raises ApiError ``AlreadyExists``."""
        raise NotImplementedError

    def replace(self, obj: Object) -> Object:
        """Replace (PUT) an object of ours."""
        raise NotImplementedError

    def patch(self, ref: Ref, patch: Mapping[str, Any] | Sequence[Any], kind: PatchKind = "merge") -> Object:
        """Patch an object of ours."""
        raise NotImplementedError

    def get(self, ref: Ref) -> Object | None:
        """The object, or ``None``; an API that does not serve the kind raises ApiError 404."""
        raise NotImplementedError

    def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> Objects:
        """All matching objects, however many pages."""
        raise NotImplementedError

    def delete(self, ref: Ref, *, uid: str | None = None, grace: int | None = None, run_id: str | None = None) -> bool:
        """Ask for deletion of an object of ours; False when it is not there (or has another ``uid``).

        Raises NotOurs for an object without our run id (``run_id`` names another run, for the sweep).
        """
        raise NotImplementedError

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        name: str | None = None,
        labels: str | None = None,
        deadline: Deadline,
        stop: threading.Event | None = None,
    ) -> Iterator[WatchEvent]:
        """ADDED for what is there, then every change, until the deadline or ``stop``."""
        raise NotImplementedError

    def watch_many(
        self, selections: Sequence[Selection], deadline: Deadline, stop: threading.Event | None = None
    ) -> Iterator[tuple[Resource, WatchEvent]]:
        """Several watches at once, in the order things arrive."""
        raise NotImplementedError

    def changes(self, selections: Sequence[Selection]) -> Changes:
        """Several watches as a queue with timeouts, for code that has timers of its own; a context manager."""
        raise NotImplementedError

    def wait_until(self, ref: Ref, predicate: Callable[[Object | None], bool], deadline: Deadline) -> Object:
        """Wait until ``predicate(object or None when absent)``; raises WaitTimeout with the last object.

        Returns the object, ``{}`` if the predicate accepted its absence.
        """
        raise NotImplementedError

    def wait_gone(self, ref: Ref, deadline: Deadline, uid: str | None = None) -> None:
        """Wait until the object (with this ``uid``, or the one there now) is gone; WaitTimeout says why it is not."""
        raise NotImplementedError

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str | None = None,
        *,
        previous: bool = False,
        tail_lines: int | None = None,
        limit_bytes: int = 65536,
        since_seconds: int | None = None,
    ) -> str:
        """Log text, redacted; empty when there is none (yet)."""
        raise NotImplementedError

    def events(self, *, namespace: str, name: str, kind: str, uid: str | None = None) -> Objects:
        """Events about one object, oldest first; cluster-scoped objects have theirs in ``default``."""
        raise NotImplementedError

    def can_i(self, verb: str, resource: Resource, namespace: str | None = None) -> bool:
        """Whether we may, as the cluster sees it."""
        raise NotImplementedError

    def server_version(self) -> str:
        """``v1.36.0``."""
        raise NotImplementedError

    def nodes(self) -> Objects:
        """All nodes."""
        raise NotImplementedError

    def allocatable_gpus(self) -> dict[str, int]:
        """GPUs per ready, schedulable node."""
        raise NotImplementedError

    def service_account_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> str:
        """A token for a service account (TokenRequest); known to the redaction from then on."""
        raise NotImplementedError

    def tunnel(self, namespace: str, pod: str, port: int) -> httpx.BaseTransport:
        """A port-forward as an httpx transport: a new one per connection; host and port of the URL do not matter.

        Raises httpx.ConnectError with the cluster's words when the pod cannot be reached.
        """
        raise NotImplementedError


class Changes:
    """Several watches as one queue."""

    def __enter__(self) -> Changes:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError

    def get(self, seconds: float) -> tuple[Resource, WatchEvent] | None:
        """The next change, or ``None`` after ``seconds`` cluster seconds; raises what broke a watch for good."""
        raise NotImplementedError
