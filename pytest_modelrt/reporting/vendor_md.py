"""The page of one vendor, in the template's order (facts: formats 3). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.results import Result
from pytest_modelrt.plan.model import Case
from pytest_modelrt.reporting.case_md import OK, details, stage_state
from pytest_modelrt.reporting.markdown import cell, row
from pytest_modelrt.reporting.models import Model
from pytest_modelrt.reporting.wording import day, status

_HEAD = ("| Model | Status | Download Time | Startup Time | Inference Test |",
         "|-------|--------|---------------|--------------|----------------|")  # fmt: skip


def render(
    vendor: str,
    models: Sequence[Model],
    latest: Mapping[str, Result],
    cases: Mapping[str, Case],
    cluster: str,
    changes: Mapping[str, str] | None = None,
) -> bytes:
    """The page of a vendor that has at least one result.

    Args:
        vendor: as the plan spells it.
        models: the vendor's models in plan order.
        latest: key -> result that speaks for the model.
        cases: case id -> plan row.
        cluster: free text.
        changes: key -> what is new since earlier runs.
    """
    tested = [latest[model.key] for model in models if model.key in latest]
    lines = [f"# {vendor} Test Results", "", f"**Test Date**: {max(map(day, tested), default='-')}", ""]
    lines += [f"**Cluster**: {cluster}", "", "## Summary", "", *_HEAD]
    lines += [_summary_row(model, latest.get(model.key)) for model in models]
    lines += ["", "## Detailed Results", ""]
    for result in tested:
        lines += details(result, cases.get(result.case), (changes or {}).get(result.key, ""))
    lines += ["## Notes", ""]
    lines += _notes([model for model in models if model.key not in latest], tested)
    return "\n".join([*lines, ""]).encode("utf-8", "backslashreplace")


def _summary_row(model: Model, result: Result | None) -> str:
    if result is None:
        return row([cell(model.name), status(None), "-", "-", "-"])
    stages = result.verdict.stages
    inference = stage_state(result, Stage.PROBE)
    return row([
        cell(model.name),
        status(result),
        _short(result.download),
        _short(stages.get(Stage.SERVICE)),
        inference[0] if inference == OK or result.verdict.stage is Stage.PROBE else "-",
    ])  # fmt: skip


def _short(seconds: float | None) -> str:
    """``1.9m``."""
    return "-" if seconds is None else f"{seconds / 60:.1f}m"


def _notes(untested: Sequence[Model], tested: Sequence[Result]) -> list[str]:
    lines = ["- Times are cluster seconds from a monotonic clock; dates are UTC."]
    if any(result.simulated for result in tested):
        lines.append("- Results marked simulated come from the built-in simulated cluster and prove no real model.")
    infra = [result.name for result in tested if result.verdict.outcome is Outcome.ERROR]
    if infra:
        lines.append(f"- No verdict about the model, the infrastructure failed: {', '.join(map(cell, infra))}.")
    if untested:
        lines.append(f"- Not tested yet: {', '.join(cell(model.name) for model in untested)}.")
    return lines
