"""Downloads models before their cases begin, in a thread of the controller.

The models are applied exactly as their cases will apply them, carry the same labels, and are deleted by their cases or
by the sweep. Trouble here costs time, never a verdict: a model that cannot be applied ahead is left to its case.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import CASE, CLUSTER_BASE_MODEL, RUN_ID, SECRET, ClusterError, Object, Selection
from pytest_modelrt.journal.trace import BEGUN, COMPLETE
from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.ahead import AheadBooks
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.prefetch import DownloadTime
from pytest_modelrt.session.surroundings import HUB_TOKEN
from pytest_modelrt.stacks.protocol import DownloadsAhead, StackFailure

FOR_EVER = 30 * 86400.0
LEAST_WAIT = 0.1
"""Real seconds: the time of a simulated cluster that lags stands still, and this thread must not spin meanwhile."""

Told = Callable[[str, DownloadTime], None]
"""``told(case_id, times)``: how much of a download was waited for."""


class Prefetch:
    """The thread, and what others tell it. Every method returns at once."""

    def __init__(
        self,
        books: AheadBooks,
        connect: Callable[[], Cluster],
        stack_for: Callable[[Cluster, Case], object],
        *,
        run_id: str,
        seconds: Mapping[str, float],
        paused: Callable[[], bool],
        told: Told,
        trouble: Callable[[str], None],
        seen: Callable[[str, str], None] = lambda case_id, what: None,
        withdrawn: Callable[[str, float, tuple[str, ...]], None] = lambda case_id, seconds, nodes: None,
        may_apply: Callable[[Cluster, Case], bool] = lambda cluster, case: True,
    ) -> None:
        """Take what the thread needs.

        Args:
            books: nobody else may touch them from now on.
            connect: the run's cluster; called in the thread.
            stack_for: the stack of a case; one that is not ``DownloadsAhead`` downloads nothing ahead.
            run_id: whose models are followed.
            seconds: case id -> cluster seconds its download is expected to take.
            paused: whether the circuit breaker is open.
            told: called in the thread when a case's times are known.
            trouble: called in the thread with one line when it must end before its time.
            seen: called in the thread with a case and ``BEGUN`` or ``COMPLETE``.
            withdrawn: called in the thread with a case whose download stood still, for how many cluster seconds, and on
                which nodes, before its model is deleted.
            may_apply: asked in the thread whether no other run uses the names of a case.
        """
        self._books = books
        self._connect = connect
        self._stack_for = stack_for
        self._run_id = run_id
        self._seconds = seconds
        self._ready = frozenset[str]()
        """Replaced as a whole by the thread, read by others."""
        self._paused = paused
        self._told = told
        self._trouble = trouble
        self._seen = seen
        self._withdrawn = withdrawn
        self._may_apply = may_apply
        self._inbox = SimpleQueue[Callable[[float], None] | None]()
        self._ended = threading.Event()
        self._stacks: dict[str, DownloadsAhead] = {}
        self._over: list[str] = []
        self._case_of_label = {case.resource_name: case.id for case in books.cases.values()}
        self._thread = threading.Thread(target=self._run, name="modelrt-prefetch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Apply nothing more; wait (real seconds at most) for a request that is under way."""
        self._ended.set()
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def waiting(self, jobs: Iterable[Job]) -> None:
        """These jobs have not started."""
        chosen = list(jobs)
        self._inbox.put(lambda now: self._books.wait(chosen))

    def begun(self, case_id: str) -> None:
        """A case was handed out."""
        self._inbox.put(lambda now: self._books.begin(case_id, now))

    def ended(self, case_id: str) -> None:
        """All tests of a case are over: its model goes, if none of them saw to that."""
        self._inbox.put(lambda now: self._over.append(case_id))

    def wait(self, case_id: str) -> float:
        """Cluster seconds a case would probably wait for its weights if it began now.

        0 for what is no case, and for all when nothing is downloaded ahead any more.
        """
        if self._ended.is_set() or case_id in self._ready:
            return 0.0
        return self._seconds.get(case_id, 0.0)

    # ------------------------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        try:
            cluster = self._connect()
            self._books.token = _has_token(cluster)
            threading.Thread(target=self._follow, args=(cluster,), name="modelrt-models", daemon=True).start()
            while not self._ended.is_set():
                self._listen(cluster)
                self._step(cluster)
        except Exception as error:  # whatever it is, cases download for themselves
            self._ended.set()
            self._trouble(f"no more downloads ahead: {type(error).__name__}: {error}")

    def _listen(self, cluster: Cluster) -> None:
        """Take what others said; wait for it, or for the time to look at a download."""
        look = self._books.next_look(_now(cluster))
        with contextlib.suppress(Empty):
            message = self._inbox.get(timeout=None if look is None else max(LEAST_WAIT, look / cluster.clock.speed))
            if message is not None:
                message(_now(cluster))
        self._catch_up(cluster)

    def _catch_up(self, cluster: Cluster) -> None:
        """Take what was said meanwhile."""
        with contextlib.suppress(Empty):
            while True:
                message = self._inbox.get_nowait()
                if message is not None:
                    message(_now(cluster))

    def _step(self, cluster: Cluster) -> None:
        if self._ended.is_set():
            return
        self._ready = self._books.ready
        for case_id, times in self._books.times().items():
            self._told(case_id, times)
        while self._over:
            self._remove(self._over.pop())
        for case_id in self._books.due(_now(cluster)):
            self._look(cluster, case_id)
        for case in self._books.next(paused=self._paused()):
            if self._ended.is_set():
                return
            self._request(cluster, case)

    def _request(self, cluster: Cluster, case: Case) -> None:
        try:
            stack = self._stack(cluster, case)
            if stack is None or not self._may_apply(cluster, case):
                self._books.bar(case.id)
                return
            stack.request_model()
        except (StackFailure, ClusterError):
            self._books.bar(case.id)
        else:
            self._books.applied(case.id, _now(cluster))
            self._seen(case.id, BEGUN)

    def _remove(self, case_id: str) -> None:
        copy = self._books.copies.get(case_id)
        if copy is not None and copy.ahead and case_id in self._stacks:
            # What cannot be deleted now is the sweep's.
            with contextlib.suppress(StackFailure, ClusterError):
                self._stacks[case_id].delete_model()

    def _look(self, cluster: Cluster, case_id: str) -> None:
        """A download that stands still keeps its nodes from others: it goes, and its case begins anew."""
        stack = self._stack(cluster, self._books.cases[case_id])
        if stack is None or self._paused():
            return
        try:
            seen = stack.download_progress()
        except ClusterError:
            return  # the next look
        self._catch_up(cluster)  # its case may have begun
        now = _now(cluster)
        mark, patience = (seen.mark, seen.patience) if seen is not None else (None, 0.0)
        still = self._books.looked(case_id, mark, patience, now)
        if still is None or seen is None:
            return
        self._books.bar(case_id)
        self._withdrawn(case_id, still, seen.nodes)
        self._remove(case_id)

    def _stack(self, cluster: Cluster, case: Case) -> DownloadsAhead | None:
        if case.id not in self._stacks:
            stack = self._stack_for(cluster, case)
            if not isinstance(stack, DownloadsAhead):
                return None
            self._stacks[case.id] = stack
        return self._stacks[case.id]

    def _follow(self, cluster: Cluster) -> None:
        """In a second thread: what becomes of this run's models."""
        selection = Selection(CLUSTER_BASE_MODEL, labels=f"{RUN_ID}={self._run_id}")
        try:
            for _, event in cluster.watch_many([selection], Deadline(cluster.clock, FOR_EVER), self._ended):
                self._inbox.put(self._taken(cluster, event.type, event.object))
        except Exception as error:  # as above
            self._ended.set()
            self._trouble(f"no more downloads ahead: {type(error).__name__}: {error}")
            self._inbox.put(None)

    def _taken(self, cluster: Cluster, kind: str, model: Object) -> Callable[[float], None]:
        label = (model["metadata"].get("labels") or {}).get(CASE, "")
        case_id = self._case_of_label.get(label)

        def take(now: float) -> None:
            if case_id is None:
                return
            if kind == "DELETED":
                self._books.gone(case_id)
                return
            self._books.applied(case_id, now)
            stack = self._stack(cluster, self._books.cases[case_id])
            if stack is not None and stack.model_complete(model) and self._books.complete(case_id, now):
                self._seen(case_id, COMPLETE)

        return take


def _now(cluster: Cluster) -> float:
    """Cluster seconds that count: those in which the API was away do not."""
    return cluster.clock.monotonic() - cluster.outage_seconds


def _has_token(cluster: Cluster) -> bool:
    """Whether gated models can be downloaded; not when we may not look."""
    namespace, name = HUB_TOKEN
    try:
        return any(secret["metadata"]["name"] == name for secret in cluster.list_metadata(SECRET, namespace))
    except ClusterError:
        return False
