"""Waiting for a service: its status, its pods and its events are watched at once; a hopeless pod ends the wait."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_modelrt.cluster.model import DEPLOYMENT, EVENT, INFERENCE_SERVICE, NODE, POD, Object, Resource, Selection
from pytest_modelrt.diagnosis.rules.engine import fingerprint, is_deterministic
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.ome import pods
from pytest_modelrt.stacks.ome.container_logs import EngineWatch, router_warning
from pytest_modelrt.stacks.ome.context import Context, condition, dig, is_true, name_of
from pytest_modelrt.stacks.ome.names import ENGINE, ENGINE_CONTAINER, ROUTER, SERVICE_LABEL, TERMINAL_EVENTS, node_label
from pytest_modelrt.stacks.protocol import Ready, StackFailure

PLACEMENT_PATIENCE = 90.0
"""Cluster seconds a pod may be refused by every node for another reason than GPUs others hold: labels lag behind."""
REJECTIONS = ("violates PodSecurity", "exceeded quota", "denied the request")
"""Words of a refused pod that the next try will hear again."""
WEBHOOK_PATIENCE = 120.0
"""Cluster seconds a webhook may keep pods from being created by not answering."""
KEPT_BACK = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady")
KEPT_BACK_PATIENCE = 300.0
"""Events of a node that cannot prepare a pod, and cluster seconds until it never will."""
CRASHES = 2
"""Crashes after which one that may have been bad luck counts as a verdict."""


@dataclass(slots=True)
class ServiceWait:
    """The wait for one InferenceService."""

    context: Context
    engine_pods: int
    """Pods of one engine replica: 1, or leader and workers."""
    service: Object = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    workloads: dict[str, Object] = field(default_factory=dict)
    crash_logs: dict[str, str] = field(default_factory=dict)
    """Pod name -> the log of its last crash, read at once: a group that is made anew takes its logs along."""
    _events: set[str] = field(default_factory=set)
    _crashes_judged: dict[str, int] = field(default_factory=dict)
    _unplaced_since: float | None = None
    _unanswered_since: float | None = None
    """When a webhook first kept a pod from being created."""
    _kept_back: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Pod its node cannot prepare -> since when, and the node's words."""
    _let_in: set[str] = field(default_factory=set)
    _engine_ready_at: float | None = None
    _started: float = 0.0
    _limit: float = 0.0
    """When patience ends, on the clock of ``Context.now``."""
    _window_open: bool = False
    _condition: str = ""
    _postponed: set[str] = field(default_factory=set)
    """Reasons to give up that a direct look has put off once."""
    _engines: EngineWatch = field(init=False)

    def __post_init__(self) -> None:
        self._engines = EngineWatch(self.context)

    def run(self) -> Ready:
        """Wait until the engine is ready and the router is, or had its time.

        Raises:
            StackFailure: ``terminal-event``, ``hopeless-pod``, ``crash``, ``unschedulable``, ``not-reconciled``,
                ``deadline`` or ``deleted``.
        """
        limits, case = self.context.deadlines, self.context.case
        self._started = self.context.now()
        self._limit = self._started + limits.service_extra + case.serving.startup_seconds
        service = self.context.names.service
        selections = [
            Selection(INFERENCE_SERVICE, service.namespace, name=service.name),
            Selection(POD, service.namespace),
            Selection(DEPLOYMENT, service.namespace),
            Selection(EVENT, service.namespace),
        ]
        with self.context.cluster.changes(selections) as changes:
            while True:
                change = changes.get(self._patience())
                if change is not None:
                    self._see(change[0], change[1].type, change[1].object)
                ready = self._judge()
                if ready is not None:
                    return ready

    # -------------------------------------------------------------------------------------------- seeing

    def _see(self, resource: Resource, kind: str, obj: Object) -> None:
        if resource == INFERENCE_SERVICE:
            if kind == "DELETED":
                raise StackFailure(Stage.SERVICE, "deleted", f"{self.context.names.service} was deleted")
            self.service = obj
            self._note_condition()
        elif resource == POD:
            self._see_pod(kind, obj)
        elif resource == EVENT:
            self._see_event(obj)
        elif kind != "DELETED":
            self.workloads[name_of(obj)] = obj

    def _note_condition(self) -> None:
        ready = condition(self.service, "Ready")
        text = " ".join(str(ready.get(key)) for key in ("status", "reason", "message") if ready.get(key))
        if text and text != self._condition:
            self._condition = text
            self.context.saw(f"service Ready {text}")

    def _see_pod(self, kind: str, pod: Object) -> None:
        name = name_of(pod)
        if kind == "DELETED":
            self.pods.pop(name, None)
            return
        before = self.pods.get(name)
        self.pods[name] = pod
        node = dig(pod, "spec", "nodeName")
        if node and (before is None or not dig(before, "spec", "nodeName")):
            self.context.observe("pod-scheduled", {"pod": name, "node": node, "component": pods.component(pod)})
        if not self._window_open and pods.component(pod) == ENGINE and pods.has_started(pod):
            self._window_open = True
            self.context.observe("engine-started", {"pod": name, "window": self._extend(pod)})
        if pods.restarts(pod) > (pods.restarts(before) if before else 0):
            self.context.saw(f"pod {name} restarted")
            self._extend(pod)
            self.context.observe("restart", {"pod": name, "restarts": pods.restarts(pod)})
        if pods.is_ready(pod) and not (before and pods.is_ready(before)):
            self.context.observe("pod-ready", {"pod": name, "component": pods.component(pod)})

    def _extend(self, pod: Object) -> float:
        """The engine (re)starts: it has its own startup window from now on; returns that."""
        window = pods.startup_window(pod) or self.context.case.serving.startup_seconds
        if pods.component(pod) == ENGINE:
            self._limit = max(self._limit, self.context.now() + window + self.context.deadlines.reconcile)
        return window

    def _see_event(self, event: Object) -> None:
        involved = event.get("involvedObject") or event.get("regarding") or {}
        reason, message = str(event.get("reason") or ""), str(event.get("message") or event.get("note") or "")
        self._note_preparation(str(involved.get("name")), reason)
        if event.get("type") != "Warning":
            return
        if reason == "Unhealthy" and self._is_engine(str(involved.get("name"))):
            why = self._engines.why_hopeless(str(involved.get("name")), message)
            if why is not None:
                raise StackFailure(Stage.SERVICE, "dead-but-listening", f"pod {involved.get('name')}: {why}")
        if reason == "FailedCreate" and any(words in message for words in REJECTIONS):
            raise StackFailure(Stage.SERVICE, "terminal-event", f"{reason}: {message}")
        if reason == "FailedCreate" and "failed calling webhook" in message and not self.pods:
            self._unanswered_since = self._unanswered_since or self.context.now()
            if self.context.now() - self._unanswered_since >= self.context.patience(WEBHOOK_PATIENCE):
                raise StackFailure(Stage.SERVICE, "terminal-event", f"{reason}: {message}")
        if reason in KEPT_BACK:
            self._kept_back.setdefault(str(involved.get("name")), (self.context.now(), f"{reason}: {message}"))
        key = f"{involved.get('kind')}/{involved.get('name')} {reason}: {message}"
        if key in self._events:
            return
        self._events.add(key)
        self.context.saw(f"event {key}")
        service = self.context.names.service
        ours = (involved.get("kind"), involved.get("name")) == (service.resource.kind, service.name)
        if ours and reason in TERMINAL_EVENTS:
            raise StackFailure(Stage.SERVICE, "terminal-event", f"{reason}: {message}")

    def _note_preparation(self, pod: str, reason: str) -> None:
        """The node came further with a pod: an image is pulled for as long as it takes, then time begins anew."""
        if reason in ("Pulling", "Created", "Started"):
            self._let_in.add(pod)
        elif reason == "Pulled" and pod in self._kept_back:
            self._let_in.discard(pod)
            self._kept_back[pod] = (self.context.now(), self._kept_back[pod][1])

    # ------------------------------------------------------------------------------------------- judging

    def _patience(self) -> float:
        """How long to listen before judging again without news."""
        now = self.context.now()
        moments = [self._limit]
        if not self.workloads and not self.pods:
            moments.append(self._started + self.context.deadlines.reconcile)
        if self._unplaced_since is not None:
            moments.append(self._unplaced_since + self.context.patience(PLACEMENT_PATIENCE))
        moments += [ends for _, ends, _ in self._unprepared()]
        if self._engine_ready_at is not None:
            moments.append(self._engine_ready_at + self.context.deadlines.probe_cold)
        return max(1.0, min(moments) - now)

    def _judge(self) -> Ready | None:
        engines = [pod for pod in self.pods.values() if pods.component(pod) == ENGINE and self._is_ours(pod)]
        for pod in engines:
            self._judge_pod(pod)
        self._judge_placement(engines)
        self._judge_kept_back()
        now = self.context.now()
        if self._engine_is_ready(engines):
            if self._engine_ready_at is None:
                self._engine_ready_at = now
            routers = [pod for pod in self.pods.values() if pods.component(pod) == ROUTER]
            waited = now - self._engine_ready_at
            if not routers or any(map(pods.is_ready, routers)) or waited >= self.context.deadlines.probe_cold:
                return self._done(engines, routers)
            return None
        self._engine_ready_at = None
        if now >= self._limit:
            self._give_up(
                "deadline", f"not ready after {now - self._started:.0f} s: {self._condition or 'no condition'}"
            )
        if not self.workloads and not self.pods and now - self._started >= self.context.deadlines.reconcile:
            self._give_up("not-reconciled", f"no workload {now - self._started:.0f} s after apply")
        return None

    def _give_up(self, reason: str, detail: str) -> None:
        """Nothing came in time; once put off when a direct look finds news that only this process has not heard."""
        if reason not in self._postponed and self._look_directly():
            self._postponed.add(reason)
            return
        raise StackFailure(Stage.SERVICE, reason, detail)

    def _look_directly(self) -> bool:
        """Read everything that is watched; whether anything is new."""
        namespace, cluster = self.context.names.namespace.name, self.context.cluster
        known = self._versions()
        service = cluster.get(self.context.names.service)
        if service is not None:
            self._see(INFERENCE_SERVICE, "MODIFIED", service)
        for resource in (POD, DEPLOYMENT, EVENT):
            for obj in cluster.list(resource, namespace):
                self._see(resource, "MODIFIED", obj)
        return self._versions() != known

    def _versions(self) -> set[str]:
        seen = (self.service, *self.pods.values(), *self.workloads.values())
        return {str(dig(obj, "metadata", "resourceVersion")) for obj in seen}

    def _is_engine(self, name: str) -> bool:
        pod = self.pods.get(name)
        return pod is not None and pods.component(pod) == ENGINE and not pods.is_going(pod)

    def _is_ours(self, pod: Object) -> bool:
        return dig(pod, "metadata", "labels", SERVICE_LABEL) in (None, self.context.names.service.name)

    def _engine_is_ready(self, engines: list[Object]) -> bool:
        ready = sum(map(pods.is_ready, engines))
        return is_true(self.service, "Ready") and ready >= self.engine_pods

    def _judge_pod(self, pod: Object) -> None:
        reason = pods.hopeless(pod)
        if reason is not None:
            raise StackFailure(Stage.SERVICE, "hopeless-pod", f"pod {name_of(pod)}: {reason}")
        crashes = pods.restarts(pod) + sum(
            1 for status in pods.container_statuses(pod) if dig(status, "state", "terminated")
        )
        if crashes <= self._crashes_judged.get(name_of(pod), 0):
            return
        self._crashes_judged[name_of(pod)] = crashes
        log = self._crash_log(pod)
        if log:
            self.crash_logs[name_of(pod)] = log
        if crashes >= CRASHES or is_deterministic(log):
            raise StackFailure(Stage.SERVICE, "crash", f"pod {name_of(pod)} crashed {crashes} times")

    def _crash_log(self, pod: Object) -> str:
        namespace = self.context.names.namespace.name
        restarted = pods.restarts(pod) > 0
        read = self.context.cluster.logs
        # The status may lag behind a restart: the log that tells of a crash is the right one.
        logs = [read(namespace, name_of(pod), ENGINE_CONTAINER, previous=it) for it in (restarted, not restarted)]
        return next(filter(fingerprint, logs), logs[0] or logs[1])

    def _judge_placement(self, engines: list[Object]) -> None:
        refusals = [message for pod in engines if (message := pods.unschedulable(pod))]
        if not refusals or any(map(pods.waits_for_gpus, refusals)):
            self._unplaced_since = None
            return
        now = self.context.now()
        if self._unplaced_since is None:
            self._unplaced_since = now
        elif now - self._unplaced_since >= self.context.patience(PLACEMENT_PATIENCE):
            if self._is_checked_again():
                self._unplaced_since = now
            else:
                self._give_up("unschedulable", refusals[0])

    def _is_checked_again(self) -> bool:
        """Whether nodes look through the model's files once more, as older releases do (facts: OME 2.7)."""
        selector = f"{node_label(self.context.names.model.name)}=Updating"
        return bool(self.context.cluster.list(NODE, labels=selector))

    def _unprepared(self) -> list[tuple[str, float, str]]:
        """(engine pod, when it is given up, its node's words) of those no container is made for."""
        waits = self.context.patience(KEPT_BACK_PATIENCE)
        waiting = ((name, since + waits, text) for name, (since, text) in self._kept_back.items())
        return [
            (name, ends, text) for name, ends, text in waiting if self._is_engine(name) and name not in self._let_in
        ]

    def _judge_kept_back(self) -> None:
        for name, ends, text in self._unprepared():
            if self.context.now() >= ends:
                self._give_up("hopeless-pod", f"pod {name}: {text}")

    def _done(self, engines: list[Object], routers: list[Object]) -> Ready:
        warnings = []
        restarts = sum(map(pods.restarts, engines))
        if restarts:
            warnings.append(f"engine restarted {restarts} times before it was ready")
        if routers and not any(map(pods.is_ready, routers)):
            warnings.append(router_warning(self.context, routers))
        ready = [pod for pod in engines if pods.is_ready(pod)]
        facts = {
            "pods": len(engines) + len(routers),
            "restarts": restarts,
            "nodes": sorted({str(dig(pod, "spec", "nodeName")) for pod in ready}),
        }
        return Ready(facts=facts, warnings=tuple(warnings))
