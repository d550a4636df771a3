"""``test-tracking.md``: every model of the repository, its runtime, and failures by the users' own buckets
(facts: formats 4b). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.results import Result
from pytest_modelrt.plan.model import Case, ProbeKind
from pytest_modelrt.reporting.markdown import cell, row
from pytest_modelrt.reporting.models import Model
from pytest_modelrt.reporting.wording import FAILED, PASSED, SKIPPED, endpoint, status

NOT_TESTED = "🔲 Not Tested"
"""This page has another symbol than the summary."""
NOTE_CHARS = 70
EXAMPLES = 4
NOT_SUPPORTED = "Not supported by the engine"
_KINDS = {
    "Text": (ProbeKind.CHAT, ProbeKind.COMPLETION),
    "Vision": (ProbeKind.VISION_CHAT, ProbeKind.OCR),
    "Embedding, rerank, reward": (ProbeKind.EMBEDDING, ProbeKind.RERANK, ProbeKind.REWARD, ProbeKind.CLASSIFY),
}
_CANNOT_LOAD = ("Architecture not supported", "Module missing")
"""Buckets of causes."""


def render(
    models: Sequence[Model],
    latest: Mapping[str, Result],
    with_runtime: Collection[str],
    cases: Mapping[str, Case],
    *,
    updated: str,
    cluster: str,
) -> bytes:
    """The page.

    Args:
        models: every model, in plan order.
        latest: key -> result that speaks for the model.
        with_runtime: keys of the models that have a runtime file, as far as runs have found out.
        cases: key -> row of the plan, where it has one.
        updated: day of the newest data.
        cluster: free text.
    """
    said = {model.key: _status(latest.get(model.key)) for model in models}
    runtimes = sum(model.key in with_runtime for model in models)
    lines = ["# Model Test Tracking", "", f"**Last Updated**: {updated}", ""]
    lines += [f"**Total Models**: {len(models)} | **Total Runtimes**: {runtimes}", "", f"**Cluster**: {cluster}", ""]
    lines += ["---", "", "## Summary", "", *_summary(list(said.values())), "", "---", "", "## Master Model List", ""]
    lines += [row(["Vendor", "Model", "Size", "Type", "GPUs", "Runtime", "Status", "Owner", "Notes"]), _rule(9)]
    for model in models:
        runtime = "✅" if model.key in with_runtime else "❌"
        result = latest.get(model.key)
        facts = (model.vendor, model.name, model.size, model.type, model.gpus)
        owner = cell(result.verdict.owner or "-") if result else "-"
        lines.append(row([*map(cell, facts), runtime, said[model.key], owner, _note(result)]))
    lines += ["", "---", "", "## Status Legend", "", *_LEGEND, "", "---", ""]
    lines += [*_coverage(models, with_runtime), "---", "", *_architectures(models, latest, cases), "---", ""]
    lines += [*_categories(latest), "---", "", *_owners(latest), "---", "", *_NOTES]
    return "\n".join([*lines, ""]).encode("utf-8", "backslashreplace")


_LEGEND = (
    "| Symbol | Status | Description |",
    "|---|---|---|",
    "| ✅ | Passed | All stages done, the model answered |",
    "| ❌ | Failed | Model, runtime or engine is at fault |",
    "| ⏭️ | Skipped | A precondition nobody here can create, for example a licence |",
    "| 🔲 | Not Tested | No verdict yet; a note names what was in the way |",
)
_NOTES = (
    "## Notes",
    "",
    "- **Owner**: whose turn it is, by the cause of the last result; empty for what passed.",
    "- **Runtime**: whether the config tree has a ClusterServingRuntime for the model; ❌ where a run found none.",
    "- The list and all counts are generated from `results.jsonl`; causes are explained in `failed-models.md`.",
)


def _status(result: Result | None) -> str:
    text = status(result)
    return text if text in (PASSED, FAILED, SKIPPED) else NOT_TESTED


def _summary(statuses: Sequence[str]) -> list[str]:
    lines = [row(["Status", "Count", "Percentage"]), _rule(3)]
    for name in (PASSED, FAILED, SKIPPED, NOT_TESTED):
        count = statuses.count(name)
        lines.append(row([name, count, f"{100 * count / len(statuses) if statuses else 0:.1f}%"]))
    return lines


def _note(result: Result | None) -> str:
    if result is None:
        return "-"
    verdict = result.verdict
    if verdict.outcome is Outcome.PASSED:
        return cell(f"{endpoint(result)}, start-up {verdict.stages.get('service', 0):.0f} s")
    infra = "infra: " if verdict.outcome is Outcome.ERROR else ""
    return cell(f"{infra}{verdict.cause or verdict.outcome}", NOTE_CHARS)


def _coverage(models: Sequence[Model], with_runtime: Collection[str]) -> list[str]:
    without = [model for model in models if model.key not in with_runtime]
    lines = ["## Runtime Coverage", "", f"- With runtime: {len(models) - len(without)}"]
    lines.append(f"- Without runtime: {len(without)}")
    lines += [f"  - {cell(model.vendor)}/{cell(model.name)}" for model in without]
    return [*lines, ""]


def _architectures(models: Sequence[Model], latest: Mapping[str, Result], cases: Mapping[str, Case]) -> list[str]:
    """Four tables, as the users' page has them: by what the models are for, and what the engine cannot load."""
    found: dict[str, dict[str, list[Model]]] = {title: {} for title in (*_KINDS, NOT_SUPPORTED)}
    by_architecture: dict[str, list[Model]] = {}
    for model in models:
        if model.key in cases and cases[model.key].architecture:
            by_architecture.setdefault(cases[model.key].architecture, []).append(model)
    for name, group in sorted(by_architecture.items(), key=lambda item: item[0].lower()):
        kinds = Counter(_kind(cases[model.key].probe) for model in group)
        refused = _refused([latest[model.key] for model in group if model.key in latest])
        found[NOT_SUPPORTED if refused else kinds.most_common(1)[0][0]][name] = group
    lines = ["## Model Architectures", ""]
    for title, architectures in found.items():
        lines += [
            f"### {title} ({len(architectures)})",
            "",
            row(["Architecture", "Models", "Passed", "Failed", "Reasons"]),
        ]
        lines += [_rule(5), *(_architecture(name, group, latest) for name, group in architectures.items()), ""]
    return lines


def _architecture(name: str, group: Sequence[Model], latest: Mapping[str, Result]) -> str:
    results = [latest[model.key] for model in group if model.key in latest]
    failed = [result for result in results if result.verdict.outcome is Outcome.FAILED]
    passed = sum(result.verdict.outcome is Outcome.PASSED for result in results)
    reasons = ", ".join(sorted({result.verdict.cause or "unknown" for result in failed})) or "-"
    return row([cell(name), len(group), passed, len(failed), reasons])


def _kind(probe: ProbeKind) -> str:
    return next(title for title, kinds in _KINDS.items() if probe in kinds)


def _refused(results: Sequence[Result]) -> bool:
    """Whether the engine has proven that it cannot load this architecture: a failure says so, and no model passed."""
    causes = [CAUSES.get(result.verdict.cause or "") for result in results if result.verdict.outcome is Outcome.FAILED]
    proven = any(cause is not None and cause.bucket in _CANNOT_LOAD for cause in causes)
    return proven and not any(result.verdict.outcome is Outcome.PASSED for result in results)


def _categories(latest: Mapping[str, Result]) -> list[str]:
    """Failures and cases without a verdict, by bucket, most frequent first."""
    buckets: dict[str, list[Result]] = {}
    for result in latest.values():
        verdict = result.verdict
        if verdict.outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED):
            known = CAUSES.get(verdict.cause or "")
            buckets.setdefault(known.bucket if known else "Other", []).append(result)
    lines = ["## Failure Categories", "", row(["Category", "Count", "Examples"]), _rule(3)]
    for bucket, group in sorted(buckets.items(), key=lambda item: (-len(item[1]), item[0])):
        names = sorted((result.case for result in group), key=str.lower)
        more = f", {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
        lines.append(row([cell(bucket), len(group), cell(", ".join(names[:EXAMPLES])) + more]))
    return [*lines, ""]


def _owners(latest: Mapping[str, Result]) -> list[str]:
    owners = Counter(result.verdict.owner for result in latest.values() if result.verdict.owner)
    lines = ["## Owner Distribution", "", row(["Owner", "Models"]), _rule(2)]
    return [*lines, *(row([cell(owner), count]) for owner, count in owners.most_common()), ""]


def _rule(columns: int) -> str:
    return row(["---"] * columns)
