"""``--modelrt-dry-run``: what a run would do, from the files alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pytest_modelrt.manifests.compare import compare
from pytest_modelrt.manifests.repair import repair_runtime
from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.session.order import predict
from pytest_modelrt.session.run import Run
from pytest_modelrt.stacks.ome.files import CaseFiles, read_files
from pytest_modelrt.stacks.protocol import StackFailure


def keep_to_one_process(config: pytest.Config) -> None:
    """No workers for a look ahead."""
    if hasattr(config.option, "tx"):
        config.option.dist, config.option.tx = "no", []


class DryRun:
    """Prints instead of running."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._workers = int(config.getoption("numprocesses", None) or 1)
        self._run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of the tests: the predicted order, the objects and the repairs of each case."""
        reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
        cases = self._run.plan.by_id()
        nodeids = [item.nodeid for item in session.items if case_of(item.nodeid, cases)]
        prediction = predict(nodeids, self._run, self._workers)
        plan = prediction.plan
        reporter.write_line("")
        for span in plan.spans:
            for line in self._lines(cases[span.job.key], span.start, span.end):
                reporter.write_line(line)
        for job in plan.impossible:
            reporter.write_line(f"never: {job.key}: {job.gpus} GPUs are more than the limits allow")
        reporter.write_line(
            f"{len(plan.spans)} cases on {self._workers} workers, about {prediction.makespan / 60:.0f} cluster minutes "
            f"(no order takes less than {prediction.bound / 60:.0f}), {prediction.known} estimates from earlier runs; "
            "nothing was touched"
        )
        return True

    def _lines(self, case: Case, start: float, end: float) -> list[str]:
        tier = self._run.campaign.tier_of(case.gpus).name
        times = f"{start / 60:6.0f} - {end / 60:.0f} min"
        gpus = f"{case.gpus_text} GPU{'s' * (case.gpus > 1)}"
        head = f"{times}  {case.id}  phase {case.phase}, tier {tier}, {gpus}"
        try:
            files = read_files(self._run.settings.config, case)
        except StackFailure as failure:
            return [head, f"        {failure.cause or failure.reason}: {failure.detail}"]
        refs = ", ".join(map(str, files.names.all()))
        return [head, f"        {refs}", *(f"        {line}" for line in self._repairs(case, files))]

    def _repairs(self, case: Case, files: CaseFiles) -> list[str]:
        """What the comparison would find if the platform detects what the plan says."""
        mismatches = compare(expected_model(case, files), files.runtime)
        if not mismatches:
            return []
        if self._run.campaign.repair == "off":
            return [f"mismatch: {mismatch.message}" for mismatch in mismatches]
        repair = repair_runtime(files.runtime_file, mismatches, (case.parameter_size, case.size))
        lines = [f"repair {change.field}: {change.old} -> {change.new}" for change in repair.changes]
        return lines + [f"mismatch, not repairable: {mismatch.message}" for mismatch in repair.unrepaired]


def expected_model(case: Case, files: CaseFiles) -> dict[str, Any]:
    """The model as the platform will describe it once it is downloaded, by the plan's facts; presets stay."""
    model = copy.deepcopy(files.model)
    spec = model.setdefault("spec", {})
    spec.setdefault("modelFormat", {"name": case.model_format, "version": "1.0.0"})
    spec.setdefault("modelFramework", {"name": "transformers", "version": case.framework_version})
    spec.setdefault("modelArchitecture", case.architecture)
    spec.setdefault("modelParameterSize", case.parameter_size)
    if case.quantization:
        spec.setdefault("quantization", case.quantization)
    return model
