"""A made-up campaign, written through the journal's own writer: the data behind pages in tests and pictures."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_modelrt.clock import rfc3339
from pytest_modelrt.journal.model import EventKind, EvidenceLine, Outcome, RunInfo, Stage, StageEvent, Verdict
from pytest_modelrt.journal.rundir import create_run, write_info
from pytest_modelrt.journal.writer import JournalWriter
from pytest_modelrt.plan.model import Case

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
INFO = RunInfo(
    run_id="20260131-120000-abcdef",
    started=rfc3339(START),
    cluster="https://127.0.0.1:6443 (modelrt-sim)",
    simulated=True,
    speed=60.0,
    version="0.1.0",
    workers=10,
    limits={"gpu1": 10, "gpu2": 5, "gpu4": 3, "gpu8": 1, "gpu_budget": 112},
)


@dataclass(frozen=True)
class Trouble:
    """How a case ends when it does not pass."""

    outcome: Outcome
    cause: str
    stage: Stage
    owner: str
    summary: str
    hint: str
    source: str = "log engine pod/engine-0 container/ome-container"


TROUBLES = (
    Trouble(
        Outcome.FAILED,
        "crashloop-missing-module",
        Stage.SERVICE,
        "runtime image",
        "ModuleNotFoundError: No module named 'vllm'",
        "Use an image that holds the module, or the triton attention backend.",
    ),
    Trouble(
        Outcome.FAILED,
        "cuda-oom",
        Stage.SERVICE,
        "config",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.32 GiB | GPU 0",
        "Lower --mem-fraction-static from 0.9 to 0.7, or ask for more GPUs.",
    ),
    Trouble(
        Outcome.SKIPPED,
        "download-gated",
        Stage.MODEL,
        "hub",
        "HTTP 403: access to the model is restricted",
        "Accept the licence at https://huggingface.co/x and retry.",
        "log model-agent node/node-3",
    ),
    Trouble(
        Outcome.ERROR,
        "download-stuck",
        Stage.MODEL,
        "OME",
        "no byte arrived on any node for 300 s <b>bold</b>",
        "Look at the downloader's log.",
        "configmap ome/node-1",
    ),
)


class Clockwork:
    """Writes one run; ``troubles`` gives the unlucky cases their end."""

    def __init__(self, reports: Path, cases: Sequence[Case], troubles: dict[str, Trouble], **changes: Any) -> None:
        started = changes.pop("started", START)
        self.info = replace(INFO, selection=tuple(case.id for case in cases), started=rfc3339(started), **changes)
        self.directory = create_run(reports, self.info)
        self.cases = cases
        self.troubles = troubles
        self.started = self.ended = started
        self.random = random.Random(7)
        self.tiers: dict[int, list[datetime]] = {}

    def write(self, limit: int | None = None) -> None:
        """Run the cases, ten at a time, up to ``limit`` of them; times are real, durations cluster seconds."""
        writers = [JournalWriter(self.directory, f"gw{number}") for number in range(10)]
        free = [self.started] * len(writers)
        for case in self.cases[:limit]:
            worker = min(range(len(writers)), key=lambda number: free[number])
            slots = self._slots(case)
            slot = min(range(len(slots)), key=lambda number: slots[number])
            free[worker] = slots[slot] = self._case(writers[worker], case, max(free[worker], slots[slot]))
        self.ended = max(free)
        for writer in writers:
            writer.close()

    def _slots(self, case: Case) -> list[datetime]:
        """When each place of the case's tier is free again."""
        tier = max(name for name in (1, 2, 4, 8) if name <= case.gpus)
        return self.tiers.setdefault(tier, [self.started] * self.info.limits[f"gpu{tier}"])

    def finish(self, exit_status: int = 1) -> None:
        """Say that the run came to its end."""
        write_info(self.directory, replace(self.info, finished=rfc3339(self.ended), exit_status=exit_status))

    def _case(self, writer: JournalWriter, case: Case, start: datetime) -> datetime:
        trouble = self.troubles.get(case.id)
        now = start
        stages: dict[str, float] = {}

        def emit(kind: EventKind, stage: Stage | None = None, took: float | None = None, **data: Any) -> None:
            writer.record(StageEvent(rfc3339(now), kind, case.id, 1, stage, took, data))

        emit(EventKind.CASE_STARTED)
        plan = self._durations(case)
        for stage, seconds in plan.items():
            if trouble and stage is not Stage.CLEANUP and list(plan).index(stage) > list(plan).index(trouble.stage):
                continue
            emit(EventKind.STAGE_STARTED, stage)
            if stage is Stage.MODEL and self.random.random() < 0.3:
                emit(EventKind.REPAIR, what="repair", file=f"runtimes/srt/{case.vendor}/{case.resource_name}-rt.yaml",
                     field="spec.supportedModelFormats[0].modelFramework.version", old="4.45.0", new="4.47.0",
                     rule="runtime-mismatch-framework")  # fmt: skip
            if stage is Stage.SERVICE:
                emit(EventKind.OBSERVATION, what="pod-scheduled", pod="engine-0", node=f"node-{case.index % 14}",
                     component="engine")  # fmt: skip
            now += timedelta(seconds=seconds / self.info.speed)
            stages[str(stage)] = seconds
            ended = trouble is not None and stage is trouble.stage
            if stage is Stage.PROBE:
                self._exchange(emit, case)
            emit(EventKind.STAGE_FINISHED, stage, seconds, ok=not ended)
        writer.verdict(self._verdict(case, trouble, stages, start, now))
        return now

    def _durations(self, case: Case) -> dict[Stage, float]:
        size = case.weights_bytes / 1e9
        return {
            Stage.PREFLIGHT: 0.4,
            Stage.MODEL: round(20 + size * self.random.uniform(0.8, 3), 1),
            Stage.RUNTIME: 1.2,
            Stage.SERVICE: round(60 + size * self.random.uniform(0.5, 1.5), 1),
            Stage.PROBE: 3.0,
            Stage.CLEANUP: 35.0,
        }

    def _exchange(self, emit: Any, case: Case) -> None:
        emit(EventKind.OBSERVATION, what="request", method="GET", url="http://engine:8080/v1/models", request="",
             status=200, response='{"data":[{"id":"' + case.hub_id + '"}]}', seconds=0.01, error="")  # fmt: skip
        emit(EventKind.OBSERVATION, what="request", method="POST", url="http://engine:8080/v1/chat/completions",
             request='{"model": "' + case.hub_id + '", "messages": [{"role": "user", "content": "it\'s <me>"}]}',
             status=200, response='{"choices": [{"message": {"content": "<think>Hello"}}]}', seconds=0.2,
             error="")  # fmt: skip

    def _verdict(
        self, case: Case, trouble: Trouble | None, stages: dict[str, float], start: datetime, end: datetime
    ) -> Verdict:
        base = Verdict(
            case=case.id,
            outcome=Outcome.PASSED,
            started=rfc3339(start),
            finished=rfc3339(end),
            stages=stages,
            facts={
                "nodes_ready": 3 + case.index % 10,
                "endpoint": "/v1/chat/completions",
                "answer": "<think>I am a | model",
                "latency_ms": 120,
                "checked": ["served name", "text"],
                "not_checked": ["streaming"],
                "pods": 2,
                "nodes": [f"node-{case.index % 14}"],
            },
        )
        if trouble is None:
            return base
        lines = tuple(EvidenceLine(trouble.source, f"{trouble.summary} ({number})", None) for number in range(3))
        return replace(
            base,
            outcome=trouble.outcome,
            cause=trouble.cause,
            stage=trouble.stage,
            owner=trouble.owner,
            summary=trouble.summary,
            hint=trouble.hint,
            evidence=lines,
            facts={},
        )


def some_troubles(cases: Iterable[Case]) -> dict[str, Trouble]:
    """Every seventh case gets one."""
    return {case.id: TROUBLES[place // 7 % len(TROUBLES)] for place, case in enumerate(cases) if place % 7 == 3}
