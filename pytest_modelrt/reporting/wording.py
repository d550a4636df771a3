"""What a result is called in tables: status, notes, reason, durations. The users' conventions (facts: formats 2)."""

from __future__ import annotations

from functools import lru_cache

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.results import Result
from pytest_modelrt.reporting.markdown import cell

PASSED, FAILED, SKIPPED, NOT_TESTED = "✅ Passed", "❌ Failed", "⏭️ Skipped", "⏳ Not Tested"
STATUS = {Outcome.PASSED: PASSED, Outcome.FAILED: FAILED, Outcome.SKIPPED: SKIPPED}
"""All other outcomes say nothing about the model: not tested."""
REASON_CHARS = 600
_ENDPOINTS = {
    "/v1/chat/completions": "chat completions endpoint",
    "/v1/completions": "completions endpoint",
    "/v1/embeddings": "embeddings endpoint",
    "/v1/rerank": "rerank endpoint",
    "/classify": "classify endpoint",
    "/generate": "generate endpoint",
}


def status(result: Result | None) -> str:
    """Symbol and word of the status column."""
    return STATUS.get(result.verdict.outcome, NOT_TESTED) if result else NOT_TESTED


def status_of_cell(text: str) -> str:
    """The status a hand-written cell means, whatever its spelling; ⏳ when in doubt."""
    for known in (PASSED, FAILED, SKIPPED):
        if known[0] in text:
            return known
    return NOT_TESTED


def duration(seconds: float) -> str:
    """``<1s``, ``16s``, ``485s (~8min)``."""
    if seconds < 1:
        return "<1s"
    if seconds < 120:
        return f"{seconds:.0f}s"
    return f"{seconds:.0f}s (~{seconds / 60:.0f}min)"


def minutes(seconds: float | None) -> str:
    """``12.5 minutes``, or a dash."""
    return "-" if seconds is None else f"{seconds / 60:.1f} minutes"


def endpoint(result: Result) -> str:
    """The endpoint that answered, in words."""
    path = str(result.verdict.facts.get("endpoint", ""))
    if result.verdict.facts.get("fallback"):
        return "completions only, no chat template"
    return _ENDPOINTS.get(path, path or "no endpoint")


def day(result: Result) -> str:
    """Date of the verdict, UTC."""
    return result.verdict.finished[:10]


@lru_cache(maxsize=32768)
def notes(result: Result) -> str:
    """Notes of a row, escaped; the reason when it did not pass."""
    verdict = result.verdict
    if verdict.outcome is Outcome.PASSED:
        text = _passed(result)
    elif verdict.outcome in STATUS:
        text = reason(result)
    else:
        text = f"infra: {verdict.cause or verdict.outcome} - {_sentence(verdict.summary, 300)}{_next(verdict.hint)}"
    return cell(text + (" Simulated." if result.simulated else ""), REASON_CHARS + 12)


def reason(result: Result) -> str:
    """``<slug>: <the engine's own words>. Next: <hint>``, not escaped."""
    verdict = result.verdict
    text = f"{verdict.cause or verdict.outcome}: {_sentence(verdict.summary or 'no details', 350)}{_next(verdict.hint)}"
    return text[:REASON_CHARS]


def _passed(result: Result) -> str:
    verdict = result.verdict
    parts = []
    if result.download is not None:
        parts.append(f"Download: {_download(result, duration(result.download))}")
    if Stage.SERVICE in verdict.stages:
        parts.append(f"Startup: {duration(verdict.stages[Stage.SERVICE])}")
    parts.append(f"Inference: OK ({endpoint(result)})")
    text = ", ".join(parts) + "."
    if verdict.retries:
        text += f" Passed after {verdict.retries} retr{'y' if verdict.retries == 1 else 'ies'}."
    if result.repairs:
        text += f" {len(result.repairs)} repair{'' if len(result.repairs) == 1 else 's'}."
    for warning in verdict.warnings[:2]:
        text += f" {_sentence(warning, 120)}"
    if result.framework_version:
        text += f" Transformers {result.framework_version}."
    return text


def _download(result: Result, took: str) -> str:
    """``134s (13 nodes, 129s of it ahead)``: how long, on how many nodes, and what nobody had to wait for."""
    nodes = result.verdict.facts.get("nodes_ready")
    said = [] if nodes is None else [f"{nodes} node{'' if nodes == 1 else 's'}"]
    if result.hidden_download >= 1:
        said.append(f"{result.hidden_download:.0f}s of it ahead")
    if not said:
        return took
    return f"{took[:-1]}, {', '.join(said)})" if took.endswith(")") else f"{took} ({', '.join(said)})"


@lru_cache(maxsize=32768)
def log_text(result: Result) -> str:
    """Results column of the execution log, escaped."""
    verdict = result.verdict
    said = STATUS.get(verdict.outcome, "⏳ Incomplete")
    text = notes(result)
    if verdict.outcome is Outcome.PASSED and not any(w.startswith("cleanup") for w in verdict.warnings):
        text += " Full cleanup completed successfully."
    return f"{said} - {text}"


def _sentence(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    if len(flat) > limit:
        flat = flat[: limit - 1].rstrip() + "…"
    return flat if not flat or flat[-1] in ".!?…" else flat + "."


def _next(hint: str) -> str:
    return f" Next: {_sentence(hint, 230)}" if hint else ""
