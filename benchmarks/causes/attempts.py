"""Trying it: a simulated cluster, the real suite in a process of its own, and what its journal says afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from pytest_modelrt import launcher
from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.model import Verdict
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.trace import CaseTrace
from pytest_modelrt.simulator.nodes.ledger import FILE as LEDGER
from pytest_modelrt.simulator.scenario.reader import read_scenario
from pytest_modelrt.simulator.scenario.signals import NAME as SIGNALS
from pytest_modelrt.simulator.scenario.tree import write_tree

from .trials import CONFIG, INTERRUPTED, REPOSITORY, Cluster, Trial

_LOOK_EVERY = 0.2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One trial and what the suite made of it."""

    trial: Trial
    verdict: Verdict | None
    seconds: float | None
    """Cluster seconds from the first signal to the end of the stage that gave up; None where nothing gave up."""
    output: str = ""

    @property
    def right(self) -> bool:
        """Whether cause, outcome and warning are as expected."""
        expect, verdict = self.trial.expect, self.verdict
        if verdict is None:
            return False
        warned = expect.warning is None or any(text.startswith(expect.warning) for text in verdict.warnings)
        return (verdict.cause, verdict.outcome.value) == (expect.cause, expect.outcome) and warned


def attempt(cluster: Cluster, workers: int) -> list[Attempt]:
    """Try all trials of a cluster."""
    with tempfile.TemporaryDirectory(prefix="modelrt-causes-") as name:
        folder = Path(name)
        scenario, config = folder / "scenario.yaml", CONFIG
        scenario.write_text(yaml.safe_dump(cluster.document), encoding="utf-8")
        if cluster.edits is not None:
            config = folder / "config"
            write_tree(CONFIG, config, read_scenario(cluster.edits).files)
        with launcher.start(
            folder / "sim", speed=cluster.speed, config_dir=CONFIG, scenario=str(scenario), nodes=cluster.nodes
        ) as simulator:
            try:
                kubeconfig = simulator.wait_ready()
            except launcher.SimulatorError as error:
                return [Attempt(trial, None, None, str(error)) for trial in cluster.trials]
            output = _suite(cluster, kubeconfig, config, folder, workers)
        signals = list(_signals(folder / "sim" / SIGNALS))
        if cluster.keep is not None:
            shutil.copytree(folder / "reports", cluster.keep / "reports")
            shutil.copy(folder / "sim" / LEDGER, cluster.keep)
        traces = _traces(folder / "reports" / "runs")
        return [_judged(cluster, trial, traces.get(trial.case.id), signals, output) for trial in cluster.trials]


def _traces(runs: Path) -> dict[str, CaseTrace]:
    """What the journal says about each case; nothing where pytest ended before it wrote down what it runs."""
    try:
        return next((dict(read_run(run).latest) for run in sorted(runs.glob("*"))), {})
    except JournalError:
        return {}


def _suite(cluster: Cluster, kubeconfig: Path, config: Path, folder: Path, workers: int) -> str:
    """Run pytest; returns what it wrote."""
    nodes = [f"tests/models/test_campaign.py::test_model[{trial.case.id}]" for trial in cluster.trials]
    parallel = ["-n", str(min(workers, len(nodes)))] if len(nodes) > 1 else []
    command = [sys.executable, "-m", "pytest", *nodes, *parallel, "-q", "-p", "no:cacheprovider", *cluster.options]
    command += [f"--modelrt-kubeconfig={kubeconfig}", f"--modelrt-config={config}"]
    command += [f"--modelrt-reports={folder / 'reports'}"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MODELRT_", "PYTEST_"))}
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if any(trial.expect.cause == INTERRUPTED for trial in cluster.trials):
        _await_stage(process, folder, "model")
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=cluster.limit)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return f"not finished after {cluster.limit:g} s\n{process.communicate()[0]}"


def _await_stage(process: subprocess.Popen[str], folder: Path, stage: str) -> None:
    """Wait until a case has come to that stage."""
    while process.poll() is None:
        journals = (folder / "reports" / "runs").glob("*/events-*.jsonl")
        if any(f'"stage":"{stage}"' in path.read_text(encoding="utf-8").replace(" ", "") for path in journals):
            return
        ScaledClock().sleep(_LOOK_EVERY)


def _signals(path: Path) -> Iterator[tuple[str, datetime]]:
    """(model or empty, time) of what went wrong on the cluster."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            data = json.loads(line)
            yield data["model"], datetime.fromisoformat(data["time"])


def _judged(
    cluster: Cluster, trial: Trial, trace: CaseTrace | None, signals: list[tuple[str, datetime]], output: str
) -> Attempt:
    verdict = trace.verdict if trace else None
    if trace is None or verdict is None or verdict.cause is None:
        return Attempt(trial, verdict, None, output)
    span = next((span for span in reversed(trace.spans) if span.stage is verdict.stage and span.finished), None)
    if span is None or span.finished is None:
        return Attempt(trial, verdict, None, output)
    started = datetime.fromisoformat(trace.started)
    ours = [time for model, time in signals if model == trial.case.resource_name]
    ours += [time for model, time in signals if not model and len(cluster.trials) == 1]
    first = max(started, min(ours, default=datetime.fromisoformat(span.started)))
    seconds = (datetime.fromisoformat(span.finished) - first).total_seconds() * cluster.speed
    return Attempt(trial, verdict, max(0.0, seconds), output)
