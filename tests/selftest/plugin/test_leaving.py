"""The second Ctrl-C leaves at once and says what removes the rest; a timeout that kills the worker leaves nothing."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from tests.selftest.plugin.conftest import ENDLESS
from tests.selftest.plugin.live import REAL_SECONDS, Live

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_the_second_signal_leaves_at_once(campaign: pytest.Pytester, live: Live, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", f"--modelrt-kubeconfig={live.kubeconfig}", "--modelrt-run-id=left",
               "-k", ENDLESS, *arguments]  # fmt: skip
    with subprocess.Popen(
        command, cwd=campaign.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        live.await_service(ENDLESS.lower())
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        said = next(line for line in process.stderr if "stopping:" in line)
        assert "300 cluster seconds" in said
        os.kill(process.pid, signal.SIGINT)
        output = process.stderr.read()
        assert process.wait(REAL_SECONDS) == pytest.ExitCode.INTERRUPTED
    words = shlex.split(output.partition("still there with: ")[2].splitlines()[0])
    assert words[:4] == ["modelrt", "sweep", "--run-id", "left"]
    subprocess.run([str(BIN / words[0]), *words[1:]], check=True, stdout=subprocess.DEVNULL)
    assert live.ours() == []


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_timeout_leaves_nothing(campaign: pytest.Pytester, live: Live, method: str) -> None:
    result = campaign.runpytest_subprocess(
        "-k", ENDLESS, "-n", "1", f"--modelrt-kubeconfig={live.kubeconfig}", "--timeout=6", f"--timeout-method={method}"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    live.await_nothing_of_ours()
    run = read_run(find_run(campaign.path / "pages"))
    assert run.torn == 0
    assert set(run.verdicts) == {f"HuggingFaceTB/{ENDLESS}"}
