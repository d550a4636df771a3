"""Parts of scenarios that need no cluster: API faults, times, stalled transfers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.faults import Fault, Faults
from pytest_modelrt.simulator.apiserver.rbac import Access
from pytest_modelrt.simulator.controllers.agent.download import Download
from pytest_modelrt.simulator.scenario import DownloadScript, Scenario
from pytest_modelrt.simulator.scenario.faults import api_faults
from pytest_modelrt.simulator.scenario.opening import left

PODS = Access("create", "", "pods", "", "models", "")
SERVICES = Access("patch", "ome.io", "inferenceservices", "", "models", "x")


class Clock(ScaledClock):
    """Time passes when told to."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def faults_of(tmp_path: Path, text: str) -> list[Fault]:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return list(api_faults(Scenario.load(path), speed=60.0))


def test_a_rule_hits_only_what_it_names(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "api: [{status: 403, groups: [ome.io], verbs: [create, patch], clients: suite}]")
    assert fault.matches(SERVICES, "kubernetes-admin")
    assert not fault.matches(SERVICES, "system:modelrt")
    assert not fault.matches(PODS, "kubernetes-admin")
    assert not fault.matches(Access("get", "ome.io", "inferenceservices"), "kubernetes-admin")


def test_the_platform_alone_may_be_hit(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "api: [{status: 403, resources: [pods], clients: platform, message: quota}]")
    assert fault.matches(PODS, "system:modelrt")
    assert not fault.matches(PODS, "kubernetes-admin")
    assert not fault.matches(Access("get", "", "pods", "log"), "system:modelrt")


def test_times_are_scaled_and_end(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "api: [{status: 503, at: 600, lasts: 120}]")
    assert (fault.starts_in, fault.lasts) == (10.0, 2.0)
    assert not fault.matches(PODS, "anybody")


def test_a_refusal_speaks_as_the_server_does() -> None:
    faults = Faults()
    faults.add(Fault(status=403))
    with pytest.raises(StatusError) as caught:
        faults.strike(SERVICES, "bob")
    assert caught.value.message == (
        'inferenceservices.ome.io is forbidden: User "bob" cannot patch resource "inferenceservices" in API group '
        '"ome.io" in the namespace "models"'
    )
    assert caught.value.details == {"kind": "inferenceservices", "group": "ome.io"}


@pytest.mark.parametrize(
    ("at", "lasts", "age", "expected"),
    [(0, None, 0, math.inf), (10, 5, 9, 0), (10, 5, 10, 5), (10, 5, 14, 1), (10, 5, 15, 0)],
)
def test_time_left(at: float, lasts: float | None, age: float, expected: float) -> None:
    assert left(at, lasts, age) == expected


def test_a_stall_holds_the_bytes_and_then_lets_them_go() -> None:
    clock = Clock()
    script = DownloadScript(False, 100.0, 1000, 10, stuck_after=0.4, stall_seconds=50.0)
    download = Download(script, clock)
    seen = []
    for moment in (20.0, 40.0, 60.0, 89.0, 100.0, 150.0):
        clock.now = moment
        seen.append(download.progress()["completedBytes"])
    assert seen == [200, 400, 400, 400, 500, 1000]


def test_bytes_of_a_stall_for_ever_stay_where_they_are() -> None:
    clock = Clock()
    download = Download(DownloadScript(False, 100.0, 1000, 10, stuck_after=0.4), clock)
    clock.now = 1e6
    first = download.progress()
    clock.now = 2e6
    assert download.progress() == first
    assert first["completedBytes"] == 400
