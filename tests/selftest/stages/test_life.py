"""The life of a case on a stack written for the test: what is run, written down and said at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path

import httpx
import pytest

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.cluster.availability import ApiTrouble
from pytest_modelrt.cluster.model import CLUSTER_BASE_MODEL, ApiError, ApiUnavailable, ClusterError, Object, Ref
from pytest_modelrt.diagnosis.model import Evidence
from pytest_modelrt.journal.model import Outcome, Stage, Verdict
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import create_run
from pytest_modelrt.journal.trace import CaseTrace
from pytest_modelrt.journal.writer import JournalWriter
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.model import Case, Deadlines
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.stacks.protocol import Endpoint, Observe, Ready, StackFailure
from pytest_modelrt.stages.ended import CaseEnded
from pytest_modelrt.stages.life import CaseLife, Surroundings
from tests.selftest.stages.conftest import run_info

Action = Callable[[], Ready]


@dataclass
class ScriptedStack:
    """Does what the test says, and remembers what it was asked for."""

    script: dict[str, Action] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    left: list[Ref] = field(default_factory=list)
    router: str | None = None
    observe: Observe = lambda what, data: None

    def _do(self, name: str) -> Ready:
        self.asked.append(name)
        return self.script.get(name, Ready)()

    def preflight(self) -> Ready:
        return self._do("preflight")

    def apply_model(self) -> Ready:
        return self._do("apply_model")

    def apply_runtime(self) -> Ready:
        return self._do("apply_runtime")

    def apply_service(self) -> Ready:
        return self._do("apply_service")

    def endpoint(self) -> Endpoint:
        self.script.get("endpoint", Ready)()
        return Endpoint("ns", "engine-0", 8080, "Qwen/Qwen3-8B", self.router, 8080)

    def collect(self, failure: StackFailure) -> Evidence:
        return Evidence(stage=failure.stage, waited=0, reason=failure.reason, detail=failure.detail)

    def delete_service(self, *, wait: bool = True) -> Ready:
        return self._do("delete_service" if wait else "ask_to_delete_service")

    def delete_runtime(self) -> Ready:
        return self._do("delete_runtime")

    def delete_model(self) -> Ready:
        return self._do("delete_model")

    def live(self, stage: Stage) -> Object:
        return {"kind": str(stage)}

    def leftovers(self) -> list[Ref]:
        return self.left

    def objects(self) -> list[Object]:
        return []


@dataclass
class Played:
    """A life, its stack and its journal."""

    life: CaseLife
    stack: ScriptedStack
    run_dir: Path
    interrupted: threading.Event

    def live_through(self) -> Verdict:
        """All stages in order, then cleanup, as the fixtures do; returns the verdict."""
        try:
            self.life.preflight()
            self.life.apply_model()
            self.life.apply_runtime()
            self.life.apply_service()
            self.life.endpoint()
            with self.life.tunnel("ns", "engine-0", 8080) as client:
                self.life.ask(client)
        except (CaseEnded, KeyboardInterrupt):
            pass
        self.life.delete_service()
        self.life.delete_runtime()
        self.life.delete_model()
        return self.life.finish()

    def trace(self) -> CaseTrace:
        """What the journal says about the only case."""
        (trace,) = read_run(self.run_dir).traces
        return trace


Make = Callable[..., Played]


@pytest.fixture
def case() -> Case:
    return load_plan(Path(__file__).parents[3] / "config").by_id()["Qwen/Qwen3-8B"]


@pytest.fixture
def make(tmp_path: Path, case: Case) -> Make:
    run_dir = create_run(tmp_path, run_info(case.id))
    interrupted = threading.Event()

    def build(
        stack: ScriptedStack,
        *,
        answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(200),
        result: ProbeResult | None = None,
        opening: ClusterError | None = None,
        troubles: Iterator[ApiTrouble] | None = None,
    ) -> Played:
        clock = ScaledClock(1000)

        def probe(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
            del client, case, timeout
            return result or ProbeResult("/v1/completions", "four", ("answer",), (), (), facts={"latency_ms": 3})

        def open_surroundings(observe: Observe) -> Surroundings:
            if opening is not None:
                raise opening
            observe("nodes-ready", {"ready": 3})
            stack.observe = observe
            trouble = ApiTrouble if troubles is None else lambda: next(troubles)
            return Surroundings(stack, clock, lambda *where: client_to(answer), trouble)

        life = CaseLife(
            case,
            open_surroundings=open_surroundings,
            probe=lambda: probe,
            journal=JournalWriter(run_dir, "gw0"),
            clock=clock,
            deadlines=Deadlines(),
            interrupted=interrupted,
            worker="gw0",
        )
        return Played(life, stack, run_dir, interrupted)

    return build


def client_to(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://engine")


def failing(stage: Stage, cause: str | None = None, detail: str = "no") -> Action:
    def action() -> Ready:
        raise StackFailure(stage, "test", detail, cause=cause)

    return action


def raising(error: BaseException) -> Action:
    def action() -> Ready:
        raise error

    return action


ALL = ["preflight", "apply_model", "apply_runtime", "apply_service", "delete_service", "delete_runtime", "delete_model"]


def test_a_case_that_passes_every_stage(make: Make) -> None:
    stack = ScriptedStack({"apply_model": lambda: Ready({"nodes_ready": 3}, ("slow",))})
    played = make(stack)
    verdict = played.live_through()
    assert stack.asked == ALL
    assert verdict.outcome is Outcome.PASSED
    assert verdict.cause is None
    assert list(verdict.stages) == ["preflight", "model", "runtime", "service", "probe", "cleanup"]
    assert verdict.facts["nodes_ready"] == 3
    assert verdict.facts["latency_ms"] == 3
    assert verdict.warnings == ("slow",)
    spans = played.trace().spans
    assert [(span.stage, span.ok) for span in spans] == [(stage, True) for stage in Stage]


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [("gpu-budget-exceeded", Outcome.SKIPPED), ("runtime-mismatch-format", Outcome.FAILED), (None, Outcome.ERROR)],
)
def test_the_cause_decides_the_outcome(make: Make, cause: str | None, outcome: Outcome) -> None:
    played = make(ScriptedStack({"apply_runtime": failing(Stage.RUNTIME, cause, "7B > 4B")}))
    verdict = played.live_through()
    assert (verdict.outcome, verdict.stage) == (outcome, Stage.RUNTIME)
    assert verdict.cause == (cause or "unknown")
    assert "apply_service" not in played.stack.asked
    assert played.stack.asked[-3:] == ["delete_service", "delete_runtime", "delete_model"]
    assert [span.ok for span in played.trace().spans if span.stage is Stage.RUNTIME] == [False]


def test_the_text_of_a_failure_has_cause_owner_and_hint(make: Make) -> None:
    played = make(ScriptedStack({"preflight": failing(Stage.PREFLIGHT, "gpu-budget-exceeded", "690 GB > 640 GB")}))
    with pytest.raises(CaseEnded) as caught:
        played.life.preflight()
    text = caught.value.text()
    assert text.startswith("gpu-budget-exceeded: 690 GB > 640 GB\n")
    assert "stage preflight, owner" in text
    assert "hint:" in text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ApiUnavailable("connection refused"), "cluster-api-unavailable"),
        (ApiError(401, "Unauthorized", "Unauthorized"), "cluster-auth"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_no_fault_of_the_model(make: Make, error: ClusterError, cause: str) -> None:
    played = make(ScriptedStack(), opening=error)
    verdict = played.live_through()
    assert (verdict.outcome, verdict.cause, verdict.stage) == (Outcome.ERROR, cause, Stage.PREFLIGHT)
    assert played.stack.asked == []


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        (ApiUnavailable("the API server is away for 300 s"), "cluster-api-unavailable"),
        (ApiError(403, "Forbidden", "pods is forbidden: cannot list"), "cluster-auth"),
        (StackFailure(Stage.PROBE, "engine-gone", "no engine pod is ready any more"), "unknown"),
    ],
)
def test_an_endpoint_that_cannot_be_found_has_a_cause(make: Make, trouble: Exception, cause: str) -> None:
    played = make(ScriptedStack({"endpoint": raising(trouble)}))
    verdict = played.live_through()
    assert (verdict.outcome, verdict.cause, verdict.stage) == (Outcome.ERROR, cause, Stage.PROBE)
    assert [span.ok for span in played.trace().spans if span.stage is Stage.PROBE] == [False]
    assert played.stack.asked[-3:] == ["delete_service", "delete_runtime", "delete_model"]


def test_requests_that_had_to_be_sent_again_are_counted(make: Make) -> None:
    before = ApiTrouble(away=50.0, failures=3, throttled=1)  # met by other cases on the same connection
    after = ApiTrouble(away=220.0, failures=12, throttled=3)
    played = make(ScriptedStack(), troubles=chain([before] * 3, repeat(after)))
    verdict = played.live_through()
    assert verdict.outcome is Outcome.PASSED
    assert verdict.warnings == (
        "api-trouble: the API server was away for 170 s; clocks stood still",
        "api-trouble: the API server asked 2 times to come back later",
    )
    (seen,) = [event for event in played.trace().observations if event.data["what"] == "api-trouble"]
    assert (seen.stage, seen.data["failures"], seen.data["throttled"]) == (Stage.MODEL, 9, 2)


def test_an_interrupted_stage_only_asks_for_deletion(make: Make) -> None:
    played = make(ScriptedStack({"apply_service": raising(KeyboardInterrupt())}))
    verdict = played.live_through()
    assert (verdict.outcome, verdict.cause, verdict.stage) == (Outcome.ERROR, "suite-interrupted", Stage.SERVICE)
    assert played.stack.asked[-1] == "ask_to_delete_service"
    assert played.interrupted.is_set()


def test_a_bug_of_ours_keeps_its_traceback(make: Make) -> None:
    played = make(ScriptedStack({"apply_model": raising(ZeroDivisionError("ours"))}))
    played.life.preflight()
    with pytest.raises(ZeroDivisionError):
        played.life.apply_model()
    assert [span.ok for span in played.trace().spans] == [True, False]


def test_leftovers_are_named_and_change_no_verdict(make: Make) -> None:
    played = make(ScriptedStack(left=[Ref(CLUSTER_BASE_MODEL, "qwen3-8b")]))
    verdict = played.live_through()
    assert verdict.outcome is Outcome.PASSED
    assert played.life.leftovers == ["ClusterBaseModel qwen3-8b"]
    assert verdict.warnings == ("cleanup-leftover: ClusterBaseModel qwen3-8b",)


def test_trouble_in_cleanup_does_not_keep_the_rest_from_being_removed(make: Make) -> None:
    played = make(ScriptedStack({"delete_service": raising(ApiUnavailable("gone"))}))
    verdict = played.live_through()
    assert played.stack.asked[-3:] == ["delete_service", "delete_runtime", "delete_model"]
    assert verdict.outcome is Outcome.PASSED
    assert verdict.warnings == ("cleanup: gone",)


def test_a_dead_router_is_a_warning_while_the_engine_answers(make: Make) -> None:
    played = make(ScriptedStack(router="router-0"), answer=lambda request: httpx.Response(503, text="No workers"))
    verdict = played.live_through()
    assert verdict.outcome is Outcome.PASSED
    assert verdict.warnings == ("router-no-workers: the router answers 503: No workers",)


def test_a_bad_answer_fails_the_case_with_the_probes_cause(make: Make) -> None:
    bad = ProbeResult("/v1/completions", "", (), (), (), problem="inference-empty", detail="no text")
    verdict = make(ScriptedStack(), result=bad).live_through()
    assert (verdict.outcome, verdict.cause, verdict.stage) == (Outcome.FAILED, "inference-empty", Stage.PROBE)


def test_the_tests_own_failure_counts_when_no_stage_failed(make: Make) -> None:
    played = make(ScriptedStack())
    played.life.preflight()
    played.life.note_body(Outcome.FAILED, "assert 1 == 2")
    verdict = played.life.finish()
    assert (verdict.outcome, verdict.summary) == (Outcome.FAILED, "assert 1 == 2")


def test_repairs_and_observations_reach_the_journal(make: Make) -> None:
    def repairing() -> Ready:
        stack.observe("repair", {"field": "spec.x", "old": "1", "new": "2"})
        return Ready()

    stack = ScriptedStack({"apply_runtime": repairing})
    played = make(stack)
    played.live_through()
    trace = played.trace()
    assert [repair["field"] for repair in trace.repairs] == ["spec.x"]
    assert [event.data["what"] for event in trace.observations] == ["nodes-ready"]
