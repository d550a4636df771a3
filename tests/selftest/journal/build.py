"""Runs written through the journal's own writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_modelrt.journal.model import EventKind, EvidenceLine, Outcome, RunInfo, Stage, StageEvent, Verdict
from pytest_modelrt.journal.rundir import create_run

INFO = RunInfo(
    run_id="20260131-120000-abcdef",
    started="2026-01-31T12:00:00.000Z",
    cluster="https://127.0.0.1:6443 (modelrt-sim)",
    simulated=True,
    speed=60.0,
    version="0.1.0",
    selection=("meta/Llama-3.1-8B-Instruct",),
    workers=2,
    limits={"gpu1": 10, "gpu2": 5, "gpu4": 3, "gpu8": 1, "gpu_budget": 112},
)
CASE = "meta/Llama-3.1-8B-Instruct"


def new_run(reports: Path, **changes: Any) -> Path:
    return create_run(reports, replace(INFO, **changes))


def event(kind: EventKind, second: int = 0, **changes: Any) -> StageEvent:
    return replace(StageEvent(time=f"2026-01-31T12:00:{second:02d}.000Z", kind=kind, case=CASE), **changes)


def verdict(outcome: Outcome = Outcome.PASSED, **changes: Any) -> Verdict:
    base = Verdict(
        case=CASE,
        outcome=outcome,
        started="2026-01-31T12:00:00.000Z",
        finished="2026-01-31T12:00:09.000Z",
        stages={"preflight": 0.2, "model": 116.0, "runtime": 1.0, "service": 105.0, "probe": 2.0, "cleanup": 31.0},
        facts={"nodes_ready": 12, "endpoint": "/v1/chat/completions", "answer": "I am a language model."},
    )
    if outcome is not Outcome.PASSED:
        base = replace(
            base,
            cause="cuda-oom",
            stage=Stage.SERVICE,
            owner="config",
            summary="torch.OutOfMemoryError: CUDA out of memory.",
            hint="Use more GPUs.",
            evidence=(EvidenceLine("log pod/x container/ome-container", "CUDA out of memory", None),),
        )
    return replace(base, **changes)
