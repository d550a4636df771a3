"""Who asks for GPUs gets them or is told why not, with and without pytest-xdist, in a run with or without a model."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelrt.cluster.leases import HeldLease, acquire
from pytest_modelrt.cluster.model import Ownership
from tests.selftest.plugin.live import REAL_SECONDS, Live

HOLDING = """
import threading
from pathlib import Path
import pytest
from pytest_modelrt.cluster.model import LEASE

def note(text):
    with Path("ledger").open("a") as file:
        file.write(text + "\\n")

@pytest.mark.gpus(8)
@pytest.mark.parametrize("number", range(3))
def test_big(number, modelrt_cluster):
    note("take")
    names = [lease["metadata"]["name"] for lease in modelrt_cluster.list(LEASE, "default")]
    assert "modelrt-slot-gpu8-0" in names
    threading.Event().wait(0.1)
    note("free")
"""
UNUSABLE = """
import pytest

@pytest.mark.gpus("two")
def test_wrong(): raise AssertionError("must not run")

@pytest.mark.gpus(33)
def test_too_big(): raise AssertionError("must not run")

def test_plain(): pass
"""
both = pytest.mark.parametrize("arguments", [[], ["-n2"]], ids=["alone", "xdist"])


@both
def test_they_hold_a_slot_that_other_runs_respect(campaign: pytest.Pytester, live: Live, arguments: list[str]) -> None:
    campaign.makepyfile(test_campaign=HOLDING)
    result = campaign.runpytest_subprocess(f"--modelrt-kubeconfig={live.kubeconfig}", *arguments)
    result.assert_outcomes(passed=3)
    assert (Path(campaign.path) / "ledger").read_text().split() == ["take", "free"] * 3
    assert live.ours() == []


@pytest.fixture
def held(live: Live) -> Iterator[HeldLease]:
    """The one slot of the largest tier, in the hands of another run."""
    other = live.cluster.for_run("other")
    lease = acquire(other, "modelrt-slot-gpu8-0", Ownership("other", "none", "2099-01-01T00:00:00Z"), seconds=3600)
    assert lease is not None
    yield lease
    lease.release()


def test_whoever_waits_for_another_run_says_so(campaign: pytest.Pytester, live: Live, held: HeldLease) -> None:
    campaign.makepyfile(test_campaign=HOLDING)
    command = [sys.executable, "-m", "pytest", f"--modelrt-kubeconfig={live.kubeconfig}", "-k", "test_big and 0"]
    with subprocess.Popen(command, cwd=campaign.path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        patience = threading.Timer(REAL_SECONDS, process.kill)
        patience.start()
        said = next((line for line in process.stdout if "waits for" in line), "nothing")
        assert said == "modelrt: test_campaign.py::test_big[0] waits for what other runs hold\n"
        held.release()
        assert "1 passed" in process.stdout.read()
        patience.cancel()


@both
@pytest.mark.parametrize("selected", ["wrong or plain", "wrong or too_big or plain"])
def test_what_cannot_be_given_is_said_and_does_not_run(
    campaign: pytest.Pytester, live: Live, arguments: list[str], selected: str
) -> None:
    campaign.makepyfile(test_campaign=UNUSABLE)
    result = campaign.runpytest_subprocess(f"--modelrt-kubeconfig={live.kubeconfig}", "-k", selected, *arguments)
    result.assert_outcomes(passed=1, errors=selected.count(" or "))
    result.stdout.fnmatch_lines(["not run: the marker takes one whole number, gpus(n); got gpus('two')"])
    if "too_big" in selected:
        result.stdout.fnmatch_lines(["not run: it can never start: asks for 33 GPUs, and one*"])


@both
def test_a_case_above_the_budget_is_an_error_and_the_others_run(
    campaign: pytest.Pytester, live: Live, arguments: list[str]
) -> None:
    result = campaign.runpytest_subprocess(
        f"--modelrt-kubeconfig={live.kubeconfig}",
        "-k",
        "Qwen2.5-72B or Qwen3-0.6B",
        "--modelrt-gpu-budget=2",
        *arguments,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["not run: it can never start: asks for 4 GPUs, and the budget of the run is 2"])
