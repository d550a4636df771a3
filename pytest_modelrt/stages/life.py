"""The life of one case attempt: runs its stages on a stack, writes them down, and names the cause when one gives up."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import httpx

from pytest_modelrt.clock import Clock, rfc3339, utc_now
from pytest_modelrt.cluster.availability import ApiTrouble
from pytest_modelrt.cluster.model import ClusterError
from pytest_modelrt.diagnosis.diagnose import diagnose, hint_of
from pytest_modelrt.diagnosis.model import Evidence, ProbeExchange
from pytest_modelrt.journal.model import EventKind, Outcome, Stage, StageEvent, Verdict
from pytest_modelrt.plan.model import Case, Deadlines
from pytest_modelrt.probes.model import Probe, ProbeResult
from pytest_modelrt.stacks.protocol import Endpoint, Observe, Ready, Stack, StackFailure
from pytest_modelrt.stages.ended import CaseEnded, shown
from pytest_modelrt.stages.refusals import refusal_of
from pytest_modelrt.stages.retries import Retries, Retry, TryFailed
from pytest_modelrt.stages.verdict import Record, compose

PROBE_FLOOR = 15.0
"""Real seconds one request may always take: our own process and the tunnel don't run at the cluster's speed."""

FELT = 30.0
"""Cluster seconds without an API server that a page need not keep quiet about."""


class Journal(Protocol):
    """Where events go."""

    def record(self, event: StageEvent) -> None:
        """Append ``event``."""


Tunnel = Callable[[str, str, int], AbstractContextManager[httpx.Client]]
"""``tunnel(namespace, pod, port)``: an HTTP client bound to that port of that pod."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a case needs from outside: opened late, so that trouble with it becomes a verdict too."""

    stack: Stack
    clock: Clock
    tunnel: Tunnel
    trouble: Callable[[], ApiTrouble] = ApiTrouble
    """What requests to the cluster have met and overcome so far."""


class CaseLife:
    """One attempt at one case.

    Every stage method raises ``CaseEnded`` when the stage gives up; cleanup methods never raise for leftovers,
    ``leftovers`` names them.
    """

    def __init__(
        self,
        case: Case,
        *,
        open_surroundings: Callable[[Observe], Surroundings],
        probe: Callable[[], Probe],
        journal: Journal,
        clock: Clock,
        deadlines: Deadlines,
        interrupted: threading.Event,
        keep: Callable[[Evidence], None] = lambda evidence: None,
        worker: str = "main",
        spent: Iterable[str] = (),
    ) -> None:
        """Take what the attempt needs.

        ``keep`` puts the evidence of a stage that gave up where people find it; ``spent`` names causes a try failed
        with before the case began.
        """
        self.case = case
        self.record = Record(case=case.id, started=rfc3339(utc_now()))
        self.leftovers: list[str] = []
        self._open = open_surroundings
        self._probe = probe
        self._journal = journal
        self._clock = clock
        self._deadlines = deadlines
        self._interrupted = interrupted
        self._keep = keep
        self._worker = worker
        self._surroundings: Surroundings | None = None
        self._exchanges: tuple[ProbeExchange, ...] = ()
        self._problem = ""
        self._met = ApiTrouble()
        self._started = self._tried = clock.monotonic()
        self._retries = Retries(
            lambda: self._surroundings.stack if self._surroundings else None,
            lambda: self._clock,
            interrupted,
            self._retried,
            spent,
        )
        self._write(EventKind.CASE_STARTED)

    # ----------------------------------------------------------------------------------------------- stages

    def preflight(self) -> Ready:
        """Reach the cluster, then check everything that can be known before touching it."""

        def action() -> Ready:
            self._surroundings = self._open(self._observe)
            self._met = self._trouble()  # the connection may have served other cases before
            self._clock = self._surroundings.clock
            self._started = self._tried = self._clock.monotonic()  # connecting is our own time, not the cluster's
            return self._surroundings.stack.preflight()

        return self._stage(Stage.PREFLIGHT, action)

    def apply_model(self) -> Ready:
        """Create the model; it is on the wanted nodes afterwards."""
        return self._stage(Stage.MODEL, self.stack.apply_model)

    def apply_runtime(self) -> Ready:
        """Create the runtime, repaired where policy allows."""
        return self._stage(Stage.RUNTIME, self.stack.apply_runtime)

    def apply_service(self) -> Ready:
        """Create the service; it is ready to be asked afterwards."""
        return self._stage(Stage.SERVICE, self.stack.apply_service)

    def endpoint(self) -> Endpoint:
        """Where the served model answers; journalled only as the probe stage that it ends when it is not known."""
        found: list[Endpoint] = []

        def action() -> Ready:
            found.append(self.stack.endpoint())
            return Ready()

        self._started = self._clock.monotonic()
        try:
            self._retries.run(Stage.PROBE, lambda: self._try(Stage.PROBE, action))
        except TryFailed as failed:
            self._write(EventKind.STAGE_STARTED, Stage.PROBE)
            self._note_time(Stage.PROBE)
            raise self._ended(failed) from None
        return found[-1]

    def tunnel(self, namespace: str, pod: str, port: int) -> AbstractContextManager[httpx.Client]:
        """An HTTP client to a port of a pod."""
        if self._surroundings is None:
            raise RuntimeError("the case has no cluster yet")
        return self._surroundings.tunnel(namespace, pod, port)

    def ask(self, client: httpx.Client) -> ProbeResult:
        """Probe the model, and the router where there is one; router trouble is a warning while the engine answers."""
        result: list[ProbeResult] = []

        def action() -> Ready:
            result.append(self._ask_engine(client))
            warnings = self._ask_router()
            facts = {"endpoint": result[0].endpoint, "answer": result[0].answer, **result[0].facts}
            facts |= {"checked": list(result[0].checked), "not_checked": list(result[0].not_checked)}
            return Ready(facts=facts, warnings=(*result[0].warnings, *warnings))

        self._stage(Stage.PROBE, action)
        return result[0]

    # ---------------------------------------------------------------------------------------------- cleanup

    def delete_service(self) -> None:
        """Delete service and namespace and see them gone; interrupted: only ask for it."""
        hurry = self._interrupted.is_set()
        self._clean(lambda stack: stack.delete_service(wait=not hurry))

    def delete_runtime(self) -> None:
        """Delete the runtime; interrupted: left to the sweep, which keeps the order."""
        if not self._interrupted.is_set():
            self._clean(lambda stack: stack.delete_runtime())

    def delete_model(self) -> None:
        """Delete the model and see it gone; interrupted: left to the sweep."""
        if not self._interrupted.is_set():
            self._clean(lambda stack: stack.delete_model())

    def finish(self) -> Verdict:
        """Look for leftovers and pronounce the verdict; the last line of this attempt."""
        if Stage.CLEANUP in self.record.stages and not self._interrupted.is_set():
            try:
                self.leftovers = [str(ref) for ref in self.stack.leftovers()]
            except ClusterError as error:
                self.leftovers = [f"unknown, the cluster does not say: {error}"]
            if self.leftovers:
                self.record.warnings.append("cleanup-leftover: " + ", ".join(self.leftovers))
        if Stage.CLEANUP in self.record.stages:
            self._write(EventKind.STAGE_FINISHED, Stage.CLEANUP, seconds=self.record.stages[Stage.CLEANUP],
                        data={"ok": not self.leftovers, "leftovers": self.leftovers})  # fmt: skip
        return compose(self.record, rfc3339(utc_now()))

    def note_body(self, outcome: Outcome, summary: str) -> None:
        """The test's own code did not plainly pass; counts unless a stage already ended the case."""
        if self.record.body is None:
            self.record.body = (outcome, summary)

    @property
    def stack(self) -> Stack:
        """The stack; available once preflight has reached the cluster."""
        if self._surroundings is None:
            raise RuntimeError("the case has no cluster yet")
        return self._surroundings.stack

    # ------------------------------------------------------------------------------------------------ inner

    def _stage(self, stage: Stage, action: Callable[[], Ready]) -> Ready:
        self._started = self._clock.monotonic()
        self._met = self._trouble()
        self._write(EventKind.STAGE_STARTED, stage)
        try:
            ready = self._retries.run(stage, lambda: self._try(stage, action))
        except TryFailed as failed:
            self._note_time(stage)
            self._note_trouble(stage)
            raise self._ended(failed) from None
        except BaseException as error:
            seconds = self._note_time(stage)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                self.record.interrupted = stage
                self._interrupted.set()
            detail = "".join(traceback.format_exception_only(error)).strip()
            self._write(EventKind.STAGE_FINISHED, stage, seconds=seconds, data={"ok": False, "error": detail})
            raise
        seconds = self._note_time(stage)
        self._note_trouble(stage)
        self.record.facts.update(ready.facts)
        self.record.warnings += ready.warnings
        self._write(EventKind.STAGE_FINISHED, stage, seconds=seconds,
                    data={"ok": True, "facts": ready.facts, "warnings": list(ready.warnings)})  # fmt: skip
        return ready

    def _note_time(self, stage: Stage) -> float:
        seconds = self._clock.monotonic() - self._started
        self.record.stages[stage] = self.record.stages.get(stage, 0.0) + seconds
        return self.record.stages[stage]

    def _trouble(self) -> ApiTrouble:
        return self._surroundings.trouble() if self._surroundings else ApiTrouble()

    def _note_trouble(self, stage: Stage) -> None:
        """Requests of the stage were tried again: counted, and said where it took long enough to be felt."""
        met = self._trouble() - self._met
        if not met:
            return
        self._write(EventKind.OBSERVATION, stage, data={"what": "api-trouble", **asdict(met)})
        if met.away >= FELT:
            self.record.warnings.append(
                f"api-trouble: the API server was away for {met.away:.0f} s; clocks stood still"
            )
        if met.throttled:
            self.record.warnings.append(f"api-trouble: the API server asked {met.throttled} times to come back later")

    def _try(self, stage: Stage, action: Callable[[], Ready]) -> Ready:
        """One try of a stage; when it gives up: collect what is known, and name the cause."""
        self._tried = self._clock.monotonic()
        error: ClusterError | None = None
        try:
            return action()
        except StackFailure as caught:
            failure = caught
        except ClusterError as caught_error:
            error, failure = caught_error, StackFailure(stage, "api-error", str(caught_error))
        evidence = self._collect(failure)
        if error is not None and evidence.refusal is None:
            evidence = replace(evidence, refusal=refusal_of(error))
        raise TryFailed(failure, evidence, diagnose(evidence, known=failure.cause))

    def _retried(self, retry: Retry) -> None:
        """Another try follows: it counts, and whoever passes by it says so."""
        finding = retry.finding
        self.record.retries += 1
        text = f"retried after {finding.cause.slug}: {' '.join((finding.detail or finding.cause.title).split())}"
        self.record.warnings += [text, *retry.mended]
        said = {"what": "retry", "cause": finding.cause.slug, "detail": finding.detail, "number": retry.number}
        said |= {"backoff_seconds": retry.backoff, "mended": list(retry.mended)}
        self._write(
            EventKind.RETRY, retry.stage, data={**said, "evidence": [shown(line) for line in finding.lines[:5]]}
        )

    def _ended(self, failed: TryFailed) -> CaseEnded:
        """Keep the evidence and write the end of the stage down."""
        failure, finding = failed.failure, failed.finding
        self._keep(failed.evidence)
        hint = hint_of(finding, case=self.case.id, hub_id=self.case.hub_id, model=self.case.resource_name)
        ended = CaseEnded(failure.stage, finding, hint)
        self.record.ended = ended
        self._write(EventKind.STAGE_FINISHED, failure.stage, seconds=self.record.stages.get(failure.stage),
                    data={"ok": False, "cause": finding.cause.slug, "reason": failure.reason,
                          "detail": failure.detail})  # fmt: skip
        return ended

    def _collect(self, failure: StackFailure) -> Evidence:
        waited = self._clock.monotonic() - self._tried
        bare = Evidence(stage=failure.stage, waited=waited, reason=failure.reason, detail=failure.detail)
        if self._surroundings is None:
            return bare
        try:
            evidence = self._surroundings.stack.collect(failure)
        except ClusterError as error:
            return replace(bare, refusal=refusal_of(error))
        return replace(evidence, waited=waited, exchanges=self._exchanges, probe_problem=self._problem)

    def _ask_engine(self, client: httpx.Client) -> ProbeResult:
        timeout = max(PROBE_FLOOR, self._deadlines.probe_cold / self._clock.speed)
        result = self._probe()(client, self.case, timeout=timeout)
        self._exchanges = result.exchanges
        for exchange in self._exchanges:
            self._observe("request", asdict(exchange))
        if result.problem is not None:
            self._problem = result.problem
            raise StackFailure(Stage.PROBE, "probe", result.detail or result.problem)
        return result

    def _ask_router(self) -> tuple[str, ...]:
        endpoint = self.stack.endpoint()
        if endpoint.router_pod is None or endpoint.router_port is None:
            return ()
        timeout = max(PROBE_FLOOR, self._deadlines.probe_warm / self._clock.speed)
        try:
            with self.tunnel(endpoint.namespace, endpoint.router_pod, endpoint.router_port) as client:
                answer = client.get("/v1/models", timeout=timeout)
        except (httpx.HTTPError, ClusterError) as error:
            return (f"router-no-workers: the router does not answer: {error}",)
        if answer.status_code != httpx.codes.OK:
            return (f"router-no-workers: the router answers {answer.status_code}: {answer.text[:200]}",)
        return ()

    def _clean(self, action: Callable[[Stack], Ready]) -> None:
        if self._surroundings is None:
            return
        self._started = self._clock.monotonic()
        if Stage.CLEANUP not in self.record.stages:
            self._write(EventKind.STAGE_STARTED, Stage.CLEANUP)
        try:
            self.record.warnings += action(self._surroundings.stack).warnings
        except (StackFailure, ClusterError) as error:
            self.record.warnings.append(f"cleanup: {error}")
        finally:
            self._note_time(Stage.CLEANUP)

    def _observe(self, what: str, data: dict[str, Any]) -> None:
        kind = {"repair": EventKind.REPAIR, "warning": EventKind.WARNING, "retry": EventKind.RETRY}
        self._write(kind.get(what, EventKind.OBSERVATION), data={"what": what, **data})

    def _write(
        self,
        kind: EventKind,
        stage: Stage | None = None,
        *,
        seconds: float | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        event = StageEvent(
            time=rfc3339(utc_now()),
            kind=kind,
            case=self.case.id,
            attempt=self.record.attempt,
            stage=stage,
            seconds=None if seconds is None else round(seconds, 3),
            data=data or {},
            worker=self._worker,
        )
        self._journal.record(event)
