"""The table: every scenario on a simulated cluster, the real suite against it, the cause and outcome it gives."""

from __future__ import annotations

import pytest

from benchmarks.causes.attempts import attempt
from benchmarks.causes.trials import Cluster, clusters


@pytest.mark.parametrize("cluster", clusters(), ids=lambda cluster: cluster.name.replace(" ", "-"))
def test_scenarios_get_the_cause_they_expect(cluster: Cluster) -> None:
    wrong = []
    for one in attempt(cluster, workers=4):
        verdict, expect = one.verdict, one.trial.expect
        if verdict is None:
            wrong.append(f"{one.trial.scenario}: no verdict\n{one.output[-3000:]}")
        elif not one.right:
            given = f"{verdict.cause} {verdict.outcome} {verdict.warnings}: {verdict.summary}"
            wrong.append(f"{one.trial.scenario}: {given}; expected {expect.cause} {expect.outcome} {expect.warning}")
    assert not wrong, "\n".join(wrong)
