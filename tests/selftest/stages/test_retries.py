"""Which failed tries are followed by another, and what the journal says about them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.diagnosis.model import Evidence, Finding, ProbeExchange
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.protocol import Ready, StackFailure
from pytest_modelrt.stages.retries import Retries, Retry, TryFailed


@dataclass
class Resettable:
    """The part of a stack that retries use."""

    changes: tuple[str, ...] = ()
    clear: bool = True
    resets: list[Stage] = field(default_factory=list)

    def mend(self, cause: str) -> tuple[str, ...]:
        return self.changes if cause == "download-gated" else ()

    def reset(self, stage: Stage) -> bool:
        self.resets.append(stage)
        return self.clear


@dataclass
class Attempts:
    """Fails with these causes, then succeeds."""

    causes: list[str]
    stage: Stage = Stage.MODEL
    status: int | None = None
    tries: int = 0

    def __call__(self) -> Ready:
        self.tries += 1
        if not self.causes:
            return Ready(facts={"tries": self.tries})
        slug = self.causes.pop(0)
        exchange = ProbeExchange("POST", "/v1/completions", "", self.status, "", 0.1)
        evidence = Evidence(self.stage, 0.0, "test", exchanges=(exchange,))
        raise TryFailed(StackFailure(self.stage, "test", slug), evidence, Finding(CAUSES[slug], (), slug))


@dataclass
class Harness:
    """Retries of one case, and what they told."""

    stack: Resettable = field(default_factory=Resettable)
    told: list[Retry] = field(default_factory=list)
    interrupted: threading.Event = field(default_factory=threading.Event)
    clock: ScaledClock = field(default_factory=lambda: ScaledClock(1e6))

    def run(self, attempts: Attempts) -> Ready:
        stack: Callable[[], object] = lambda: self.stack  # noqa: E731
        retries = Retries(stack, lambda: self.clock, self.interrupted, self.told.append)  # type: ignore[arg-type]
        return retries.run(attempts.stage, attempts)


def test_a_stuck_download_is_deleted_and_tried_once_more() -> None:
    harness = Harness()
    assert harness.run(Attempts(["download-stuck"])).facts == {"tries": 2}
    assert harness.stack.resets == [Stage.MODEL]
    assert [(retry.finding.cause.slug, retry.number) for retry in harness.told] == [("download-stuck", 1)]


def test_the_same_cause_again_is_the_verdict() -> None:
    attempts = Attempts(["download-stuck", "download-stuck", "download-stuck"])
    with pytest.raises(TryFailed) as caught:
        Harness().run(attempts)
    assert attempts.tries == 2
    assert caught.value.finding.cause.slug == "download-stuck"


def test_backoff_grows_as_the_taxonomy_says() -> None:
    harness = Harness()
    harness.run(Attempts(["platform-webhook-unavailable"] * 5, Stage.RUNTIME))
    assert [retry.backoff for retry in harness.told] == [2.0, 5.0, 15.0, 30.0, 60.0]


def test_what_cannot_be_removed_is_not_tried_on_top_of() -> None:
    attempts = Attempts(["download-stuck"])
    with pytest.raises(TryFailed):
        Harness(Resettable(clear=False)).run(attempts)
    assert attempts.tries == 1


@pytest.mark.parametrize(
    "slug", ["crashloop-missing-module", "cuda-oom", "download-gated", "download-queued", "cluster-api-unavailable"]
)
def test_what_will_not_change_by_itself_is_a_verdict_at_once(slug: str) -> None:
    attempts = Attempts([slug], CAUSES[slug].stage)
    harness = Harness()
    with pytest.raises(TryFailed):
        harness.run(attempts)
    assert (attempts.tries, harness.told) == (1, [])


def test_a_gated_model_is_tried_again_when_something_could_be_mended() -> None:
    harness = Harness(Resettable(("repaired spec.storage.key: nothing -> hf-token",)))
    attempts = Attempts(["download-gated", "download-gated"])
    with pytest.raises(TryFailed):
        harness.run(attempts)
    assert attempts.tries == 2
    assert harness.told[0].mended == ("repaired spec.storage.key: nothing -> hf-token",)


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (400, 1), (429, 3)])
def test_an_engine_is_asked_again_unless_it_refused_the_question(status: int, tries: int) -> None:
    attempts = Attempts(["inference-error"] * 3, Stage.PROBE, status)
    with pytest.raises(TryFailed):
        Harness().run(attempts)
    assert attempts.tries == tries


def test_an_interrupted_run_tries_nothing_again() -> None:
    harness = Harness()
    harness.interrupted.set()
    with pytest.raises(TryFailed):
        harness.run(Attempts(["download-stuck"]))
