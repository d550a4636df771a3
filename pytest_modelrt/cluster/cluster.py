"""The face of the room: one cluster, as the rest of the suite sees it.

Objects are plain dictionaries. Writes touch only what carries our run id. Every call has socket timeouts and rides out
an API server that is away for less than the tolerated time; every wait takes a deadline and stops its clock meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pytest_modelrt.clock import Clock, Deadline, ScaledClock
from pytest_modelrt.cluster import objects
from pytest_modelrt.cluster.api import Api
from pytest_modelrt.cluster.availability import ApiTrouble, FairDeadline, OutageHook
from pytest_modelrt.cluster.changes import Changes
from pytest_modelrt.cluster.connection import Connection, Query
from pytest_modelrt.cluster.kinds import Kinds
from pytest_modelrt.cluster.kubeconfig import resolve
from pytest_modelrt.cluster.model import (
    EVENT,
    MANAGER,
    NODE,
    POD,
    SECRET,
    ApiError,
    ClusterInfo,
    ClusterTarget,
    Object,
    Ref,
    Resource,
    Selection,
    WaitTimeout,
    WatchEvent,
)
from pytest_modelrt.cluster.objects import METADATA_ONLY, Objects
from pytest_modelrt.cluster.ownership import is_ours, require_ours
from pytest_modelrt.cluster.waiting import kubectl_line, why_still_there
from pytest_modelrt.lag import clock_of
from pytest_modelrt.redaction import redact, register_secret

if TYPE_CHECKING:
    import httpx

__all__ = ["Changes", "Cluster", "ClusterTarget", "OutageHook", "PatchKind", "Selection"]

PatchKind = Literal["merge", "json", "strategic"]
_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_NO_LOG_YET = ("waiting to start", "previous terminated container", "not have a host assigned", "is not available")


class Cluster:
    """A connection to one cluster, thread-safe; ``run_id`` decides what it may change."""

    def __init__(self, api: Api, info: ClusterInfo, run_id: str | None = None) -> None:
        self._api = api
        self.kinds = Kinds(api)
        self.info = info
        self.clock: Clock = api.clock
        self.run_id = run_id
        self._gpus: tuple[float, dict[str, int] | None] = (0.0, None)

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
        if target.in_cluster:
            connection = Connection.in_cluster()
            info = ClusterInfo(connection.server, "in-cluster", simulated=False, speed=1.0)
            clock: Clock = ScaledClock()
        else:
            kubeconfig = resolve(target)
            connection = Connection.from_kubeconfig(kubeconfig)
            simulated = kubeconfig.simulator is not None
            info = ClusterInfo(kubeconfig.server, kubeconfig.context, simulated, kubeconfig.speed)
            clock = clock_of(kubeconfig.speed, kubeconfig.simulator)
        api = Api(connection, clock, tolerate=tolerate_outage)
        version = str(api.call("GET", "/version", tolerate=first_contact).get("gitVersion", ""))
        known = ClusterInfo(info.server, info.context, info.simulated, info.speed, version)
        return cls(api, known, run_id)

    def close(self) -> None:
        """Give the sockets back."""
        self._api.connection.close()

    def for_run(self, run_id: str | None) -> Cluster:
        """The same connection, allowed to change the objects of another run (or of none)."""
        return Cluster(self._api, self.info, run_id)

    def on_outage(self, hook: OutageHook) -> None:
        """Call ``hook(started, None)`` when the API goes away and ``hook(started, ended)`` when it is back.

        Times are cluster seconds of ``clock``. The hook runs in the thread that noticed and must not block.
        """
        self._api.availability.add_hook(hook)

    @property
    def outage_seconds(self) -> float:
        """Cluster seconds the API was away so far, the running outage included: what stopwatches should subtract."""
        return self._api.availability.outage_seconds

    @property
    def trouble(self) -> ApiTrouble:
        """What requests of this process met and overcame so far."""
        return self._api.availability.trouble

    def fair(self, deadline: Deadline) -> FairDeadline:
        """The deadline with its clock stopped while the API server is away; for loops around ``changes``."""
        return FairDeadline(deadline, self._api.availability)

    def apply(self, obj: Object) -> Object:
        """Server-side apply as ``pytest-modelrt``; forced only over what is ours. Raises NotOurs, ApiError."""
        ref = self._own(obj)
        live = self.get(ref)
        if live is not None:
            require_ours(live, self.run_id, str(ref))
        query: Query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": live is not None}
        return self._write("PATCH", objects.path(ref), obj, query, "application/apply-patch+yaml")

    def create(self, obj: Object) -> Object:
        """Create; raises ApiError ``AlreadyExists``."""
        ref = self._own(obj)
        where = objects.collection_path(ref.resource, ref.namespace)
        before = self._api.availability.failures
        try:
            return self._write("POST", where, obj, {"fieldManager": MANAGER, "fieldValidation": "Strict"})
        except ApiError as error:
            if error.reason != "AlreadyExists" or self._api.availability.failures == before:
                raise
            mine = self.get(ref)  # an answer was lost on the way: the object may well be the one we sent
            if mine is None or not self.run_id or not is_ours(mine, self.run_id):
                raise
            return mine

    def replace(self, obj: Object) -> Object:
        """Replace (PUT) an object of ours."""
        ref = self._own(obj)
        self._require_live_ours(ref, self.run_id)
        return self._write("PUT", objects.path(ref), obj, {"fieldManager": MANAGER, "fieldValidation": "Strict"})

    def patch(
        self, ref: Ref, patch: Mapping[str, Any] | Sequence[Any], kind: PatchKind = "merge", *, known_ours: bool = False
    ) -> Object:
        """Patch an object of ours; raises ApiError NotFound, NotOurs.

        ``known_ours``: the patch names the resource version we last saw, and that one was ours, so there is no need to
        look: any other version is a conflict.
        """
        if not known_ours:
            self._require_live_ours(ref, self.run_id)
        return self._write("PATCH", objects.path(ref), patch, {"fieldManager": MANAGER}, _PATCH_TYPES[kind])

    def get(self, ref: Ref) -> Object | None:
        """The object, or ``None``; an API that does not serve the kind raises ApiError 404."""
        return objects.get(self._api, ref)

    def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> Objects:
        """All matching objects, however many pages."""
        return objects.list_pages(self._api, Selection(resource, namespace, labels=labels, fields=fields))[0]

    def list_metadata(self, resource: Resource, namespace: str | None = None, *, labels: str | None = None) -> Objects:
        """Like ``list``, but only apiVersion, kind and metadata: never the payload of a Secret."""
        return objects.list_pages(self._api, Selection(resource, namespace, labels=labels), accept=METADATA_ONLY)[0]

    def delete(self, ref: Ref, *, uid: str | None = None, grace: int | None = None, run_id: str | None = None) -> bool:
        """Ask for deletion of an object of ours; False when it is not there (or has another ``uid``).

        Raises NotOurs for an object without our run id (``run_id`` names another run, for the sweep).
        """
        live = self.get(ref)
        if live is None or (uid and live["metadata"].get("uid") != uid):
            return False
        require_ours(live, run_id or self.run_id, str(ref))
        options: dict[str, Any] = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": live["metadata"].get("uid")},
        }
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            self._api.call("DELETE", objects.path(ref), body=options)
        except ApiError as error:
            if objects.is_missing_object(error) or (error.code == 409 and "UID in the precondition" in error.message):
                return False
            raise
        return True

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
        selection = Selection(resource, namespace, name=name, labels=labels)
        for _, event in self.watch_many([selection], deadline, stop):
            yield event

    def watch_many(
        self, selections: Sequence[Selection], deadline: Deadline, stop: threading.Event | None = None
    ) -> Iterator[tuple[Resource, WatchEvent]]:
        """Several watches at once, in the order things arrive."""
        with self.changes(selections) as changes:
            for change in changes.until(self.fair(deadline), stop):
                if change is not None:
                    yield change

    def changes(self, selections: Sequence[Selection]) -> Changes:
        """Several watches as a queue with timeouts, for code that has timers of its own; a context manager."""
        return Changes(self._api, selections)

    def wait_until(self, ref: Ref, predicate: Callable[[Object | None], bool], deadline: Deadline) -> Object:
        """Wait until ``predicate(object or None when absent)``; raises WaitTimeout with the last object.

        Returns the object, ``{}`` if the predicate accepted its absence.
        """
        last = self.get(ref)
        if predicate(last):
            return last or {}
        current: Object | None = None
        with self.changes([Selection(ref.resource, ref.namespace, name=ref.name)]) as changes:
            for change in changes.until(self.fair(deadline)):
                if change is not None:
                    current = None if change[1].type == "DELETED" else change[1].object
                last = current
                if predicate(last):
                    return last or {}
        state = "it is not there" if last is None else f"it is there, version {last['metadata'].get('resourceVersion')}"
        raise WaitTimeout(f"{ref}: waited {deadline.seconds:.0f} s in vain; {state}", last)

    def wait_gone(self, ref: Ref, deadline: Deadline, uid: str | None = None) -> None:
        """Wait until the object (with this ``uid``, or the one there now) is gone; WaitTimeout says why it is not."""
        here = self.get(ref)
        wanted = uid or (here or {}).get("metadata", {}).get("uid")
        if here is None:
            return
        try:
            self.wait_until(ref, lambda obj: obj is None or obj["metadata"].get("uid") != wanted, deadline)
        except WaitTimeout as error:
            last = error.last or here
            line = kubectl_line(ref)
            message = f"{ref} is still there after {deadline.elapsed:.0f} s: {why_still_there(last)}; see: {line}"
            raise WaitTimeout(message, last) from error

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
        query: Query = {
            "container": container,
            "previous": previous or None,
            "tailLines": tail_lines,
            "limitBytes": limit_bytes,
            "sinceSeconds": since_seconds,
        }
        where = objects.path(Ref(POD, pod, namespace), "log")
        try:
            return redact(self._api.text(where, query=query, limit=limit_bytes))
        except ApiError as error:
            if objects.is_missing_object(error) or any(words in error.message for words in _NO_LOG_YET):
                return ""
            raise

    def events(self, *, namespace: str, name: str, kind: str, uid: str | None = None) -> Objects:
        """Events about one object, oldest first; cluster-scoped objects have theirs in ``default``."""
        fields = [f"involvedObject.name={name}", f"involvedObject.kind={kind}"]
        fields += [f"involvedObject.uid={uid}"] if uid else []
        found = self.list(EVENT, namespace, fields=",".join(fields))
        return sorted(found, key=_happened)

    def can_i(self, verb: str, resource: Resource, namespace: str | None = None, *, subresource: str = "") -> bool:
        """Whether we may, as the cluster sees it."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural, "namespace": namespace or ""}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, **({"subresource": subresource} if subresource else {})}},
        }
        answer = self._write("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, {})
        return bool(answer.get("status", {}).get("allowed"))

    def server_version(self) -> str:
        """``v1.36.0``."""
        return str(self._api.call("GET", "/version").get("gitVersion", ""))

    def nodes(self) -> Objects:
        """All nodes."""
        return self.list(NODE)

    def allocatable_gpus(self, max_age: float = 0.0) -> dict[str, int]:
        """GPUs per ready, schedulable node; what was read at most ``max_age`` real seconds ago will do."""
        read, gpus = self._gpus
        if gpus is None or time.monotonic() - read > max_age:
            gpus = {
                node["metadata"]["name"]: int(
                    (node.get("status", {}).get("allocatable") or {}).get("nvidia.com/gpu", 0)
                )
                for node in self.nodes()
                if _takes_pods(node)
            }
            self._gpus = time.monotonic(), gpus
        return dict(gpus)

    def service_account_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> str:
        """A token for a service account (TokenRequest); known to the redaction from then on."""
        spec: dict[str, Any] = {"expirationSeconds": seconds, **({"audiences": [*audiences]} if audiences else {})}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        resource = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
        answer = self._write("POST", objects.path(Ref(resource, name, namespace), "token"), request, {})
        token = str(answer.get("status", {}).get("token", ""))
        register_secret(token)
        return token

    def learn_secret(self, namespace: str, name: str) -> None:
        """Let the redaction know the values of a Secret, and nobody else; raises ApiError where we may not list it."""
        for secret in self.list(SECRET, namespace, fields=f"metadata.name={name}"):
            for value in (secret.get("data") or {}).values():
                with contextlib.suppress(ValueError):
                    register_secret(base64.b64decode(value).decode())

    def tunnel(self, namespace: str, pod: str, port: int) -> httpx.BaseTransport:
        """A port-forward as an httpx transport: a new one per connection; host and port of the URL do not matter.

        Raises httpx.ConnectError with the cluster's words when the pod cannot be reached.
        """
        from pytest_modelrt.cluster.tunnel import TunnelTransport

        return TunnelTransport(self._api.connection, namespace, pod, port)

    def _own(self, obj: Object) -> Ref:
        """The reference of a manifest that carries our labels; raises NotOurs."""
        ref = self.kinds.ref(obj)
        require_ours(obj, self.run_id, f"manifest of {ref}")
        return ref

    def _require_live_ours(self, ref: Ref, run_id: str | None) -> None:
        live = self.get(ref)
        if live is None:
            raise ApiError(404, "NotFound", f"{ref} not found", {"name": ref.name, "kind": ref.resource.plural})
        require_ours(live, run_id, str(ref))

    def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any],
        query: Query,
        content_type: str = "application/json",
    ) -> Object:
        answer = self._api.call(method, path, query=query, body=body, content_type=content_type)
        return objects.without_managed_fields(answer)


def _happened(event: Object) -> str:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")
    return str(stamp or event.get("metadata", {}).get("creationTimestamp", ""))


def _takes_pods(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
    return ready and not node.get("spec", {}).get("unschedulable")
