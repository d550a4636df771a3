"""What GitHub Actions shows of a run: the step summary, and annotations at the manifest at fault. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.history import Change, Trend
from pytest_modelrt.journal.model import Outcome, RunInfo, Verdict
from pytest_modelrt.journal.resume import carried_of
from pytest_modelrt.reporting.markdown import cell, code, row
from pytest_modelrt.reporting.numbers import OUTCOMES

MOST_ANNOTATIONS = 10
"""GitHub shows so many errors and so many warnings of a step."""
MOST_ROWS = 200
MOST_BYTES = 1_000_000
"""GitHub refuses step summaries above 1 MiB."""
_PLACE = re.compile(r"(?P<file>[^\s:]+\.ya?ml):(?P<line>\d+)")
_SUSPECTS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("runtime-mismatch-framework", "runtime", ("modelFramework:",)),
    ("runtime-mismatch-architecture", "runtime", ("modelArchitecture:",)),
    ("runtime-mismatch-size", "runtime", ("modelSizeRange:",)),
    ("runtime-mismatch", "runtime", ("supportedModelFormats:",)),
    ("runtime-", "service", ("runtime:", "spec:")),
    ("tp-gpu-mismatch", "runtime", ("--tp-size", "nvidia.com/gpu:")),
    ("kv-cache-memory", "runtime", ("--mem-fraction-static", "nvidia.com/gpu:")),
    ("host-oom", "runtime", ("memory:",)),
    ("shm-too-small", "runtime", ("dshm", "emptyDir:")),
    ("served-name-mismatch", "runtime", ("--served-model-name",)),
    ("chat-template-missing", "runtime", ("args:",)),
    ("engine-", "runtime", ("args:", "command:")),
    ("warmup-", "runtime", ("args:", "command:")),
    ("pod-unschedulable", "runtime", ("resources:",)),
    ("metadata-unparsed", "model", ("spec:",)),
    ("startup-timeout", "runtime", ("startupProbe:",)),
    ("cuda-oom", "runtime", ("--mem-fraction-static", "nvidia.com/gpu:")),
    ("crashloop", "runtime", ("image:",)),
    ("image-pull", "runtime", ("image:",)),
    ("download-gated", "model", ("storage:",)),
    ("download", "model", ("storageUri:",)),
    ("isvc", "service", ("spec:",)),
    ("gpu-budget", "runtime", ("nvidia.com/gpu:",)),
)
"""Beginning of the slug, kind of file, texts of which the first one found names the line."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One mark in a file, or about the run."""

    level: str
    """``error`` or ``warning``."""
    title: str
    message: str
    file: str = ""
    line: int = 0

    def command(self) -> str:
        """The line that makes the runner show it."""
        values = {"file": self.file, "line": self.line or "", "title": self.title}
        said = ",".join(f"{name}={_property(str(value))}" for name, value in values.items() if value)
        return f"::{self.level} {said}::{_data(self.message)}"


def annotations_of(verdicts: Iterable[Verdict], root: str, read: Callable[[str], str]) -> list[Annotation]:
    """One mark per case that failed, and per case without a verdict; at most what GitHub shows, the rest counted.

    Args:
        verdicts: of the run.
        root: the config tree as the repository names it.
        read: text of a file of the tree, by its place there; empty when it has none.
    """
    known = list(verdicts)
    found = []
    for outcome, level in ((Outcome.FAILED, "error"), (Outcome.ERROR, "warning")):
        chosen = [verdict for verdict in known if verdict.outcome is outcome]
        shown = chosen if len(chosen) <= MOST_ANNOTATIONS else chosen[: MOST_ANNOTATIONS - 1]
        found += [_annotation(verdict, level, root, read) for verdict in shown]
        if len(shown) < len(chosen):
            names = ", ".join(verdict.case for verdict in chosen[len(shown) :])
            found.append(Annotation(level, f"{len(chosen) - len(shown)} more", names))
    return found


def step_summary(info: RunInfo, verdicts: Sequence[Verdict], trends: Mapping[str, Trend], pages: str) -> str:
    """The run in Markdown: counts, what changed, and a row for each case that did not pass.

    ``pages``: where the whole of it is, for example the name of the artifact.
    """
    counts = [(word, sum(str(v.outcome) == name for v in verdicts)) for name, _, word in OUTCOMES]
    lines = ["## Model campaign", "", row(w for w, n in counts if n), row("---" for _, n in counts if n)]
    lines += [row(n for _, n in counts if n), "", f"Run {code(info.run_id)} on {cell(info.cluster)}. {cell(pages)}", ""]
    news = [(change, [c for c, t in trends.items() if t.change is change]) for change in Change]
    told = [(change, cases) for change, cases in news if cases and change not in (Change.STEADY, Change.UNKNOWN)]
    lines += [f"- **{change}** ({len(cases)}): {', '.join(map(cell, cases[:20]))}" for change, cases in told]
    lines += [f"- **slower** {cell(case)}: {cell(t.slower.text)}" for case, t in trends.items() if t.slower]
    carried = sum(carried_of(verdict) is not None for verdict in verdicts)
    if carried:
        lines.append(f"- {carried} cases were carried over from earlier runs with the same inputs, not run again")
    bad = [v for v in verdicts if v.outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED)]
    if bad:
        lines += ["", row(["Model", "Outcome", "Cause", "Whose turn", "What happened", "Next"]), row(["---"] * 6)]
        lines += [_row(verdict) for verdict in bad[:MOST_ROWS]]
        lines += [f"\n... and {len(bad) - MOST_ROWS} more"] if len(bad) > MOST_ROWS else []
    text = "\n".join([*lines, ""])
    return text.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore")


def _row(verdict: Verdict) -> str:
    cause = code(verdict.cause) if verdict.cause else "-"
    said = cell(verdict.summary, 300) or "-"
    return row([code(verdict.case), verdict.outcome, cause, cell(verdict.owner or "-"), said, cell(verdict.hint, 300)])


def _annotation(verdict: Verdict, level: str, root: str, read: Callable[[str], str]) -> Annotation:
    title = f"{verdict.case}: {verdict.cause or verdict.outcome}"
    message = "\n".join(filter(None, (verdict.summary, f"Next: {verdict.hint}" if verdict.hint else "")))
    file, line = _place(verdict, root, read)
    return Annotation(level, title, message[:2000], file, line)


def _place(verdict: Verdict, root: str, read: Callable[[str], str]) -> tuple[str, int]:
    """File and line at fault: what the summary names itself, else the field the cause speaks of."""
    named = _PLACE.search(verdict.summary)
    if named:
        return named["file"], int(named["line"])
    given = verdict.facts.get("files")
    files = given if isinstance(given, Mapping) else {}
    slug = verdict.cause or ""
    kind, texts = next(((kind, texts) for start, kind, texts in _SUSPECTS if slug.startswith(start)), (None, ()))
    if kind is None:
        known = CAUSES.get(slug)
        kind = "model" if known and known.stage == "model" else "service"
    path = str(files.get(kind) or "")
    if not path.endswith((".yaml", ".yml")):
        return "", 0
    lines = read(path).splitlines()
    line = next((n for text in texts for n, content in enumerate(lines, 1) if text in content), 1)
    return f"{root}/{path}" if root else path, line


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
