"""Every model of the plan, served from its committed runtime, satisfies the suite's own probe."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from pytest_modelrt.plan.model import Case, ProbeKind
from pytest_modelrt.probes import probe_for
from pytest_modelrt.probes.model import ProbeResult
from tests.selftest.simulator.nodes.lab import PATIENCE, plan_cases, served

TOO_LARGE = {case.id for case in plan_cases() if case.gpu_weights_bytes / case.serving.tensor_parallel > 80e9}
"""Rows for which the plan allots fewer GPUs than their weights need."""


def probe(case: Case) -> ProbeResult:
    async def main() -> ProbeResult:
        async with served(case) as engine:
            url = engine.url()
            return await asyncio.to_thread(ask, url)

    def ask(url: str) -> ProbeResult:
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            return probe_for(case.probe)(client, case, timeout=PATIENCE)

    return asyncio.run(main())


@pytest.mark.parametrize("kind", list(ProbeKind))
def test_every_kind_of_model_answers_its_probe_without_a_warning(kind: ProbeKind) -> None:
    results = {case.id: probe(case) for case in plan_cases() if case.probe is kind and case.id not in TOO_LARGE}
    assert results
    troubled = {name: (r.problem, r.detail, r.warnings) for name, r in results.items() if r.problem or r.warnings}
    assert troubled == {}
