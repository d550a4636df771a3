"""One case of the campaign page: its row and its section as plain values. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from pytest_modelrt.journal.history import Trend
from pytest_modelrt.journal.model import EvidenceLine, Outcome, RunInfo, Stage
from pytest_modelrt.journal.results import result_of, result_without_plan
from pytest_modelrt.journal.resume import carried_of
from pytest_modelrt.journal.trace import CaseTrace
from pytest_modelrt.plan.model import Campaign, Case
from pytest_modelrt.reporting.case_md import curl
from pytest_modelrt.reporting.numbers import OUTCOMES, epoch, state

REQUEST_CHARS, RESPONSE_CHARS = 500, 600
EVIDENCE_LINES, EVIDENCE_CHARS = 20, 400
_NOBODY = RunInfo("", "", "", False, 1.0, "")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of cases."""

    title: str
    number: bool = False


STAGE_WORDS = {"model": "download", "service": "start-up"}
"""What a stage is called on the page, where that says more."""
TIMED = (Stage.MODEL, Stage.SERVICE, Stage.PROBE, Stage.CLEANUP)
COLUMNS = (
    Column("Model"),
    Column("Outcome"),
    Column("Cause"),
    Column("Since before"),
    Column("GPUs", number=True),
    Column("Kind"),
    Column("Download s", number=True),
    Column("Start-up s", number=True),
    Column("Probe s", number=True),
    Column("Cleanup s", number=True),
    Column("Total s", number=True),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the templates see of a case."""

    id: str
    anchor: str
    vendor: str
    name: str
    tier: str
    kind: str
    gpus: str
    gpu_count: int
    state: str
    rank: int
    symbol: str
    word: str
    cause: str
    owner: str
    summary: str
    hint: str
    times: tuple[float | None, ...]
    hidden: float
    """Seconds of the download that passed before the case began; not among ``times``."""
    total: float
    spans: tuple[Mapping[str, Any], ...]
    evidence: tuple[EvidenceLine, ...]
    warnings: tuple[str, ...]
    repairs: tuple[Mapping[str, str], ...]
    retries: int
    answer: str
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]
    exchanges: tuple[Mapping[str, Any], ...]
    curl: str
    rerun: str
    when: str
    finished: str
    attempt: int
    change: str
    """Since earlier runs; empty while it runs and for what was carried over."""
    change_text: str
    slower: str
    carried: str
    """What an earlier run said, with run and date."""


def entry_of(
    case_id: str, case: Case | None, trace: CaseTrace | None, campaign: Campaign, now: str, trend: Trend | None = None
) -> Entry:
    """A case as it stands.

    Args:
        case_id: ``vendor/name``.
        case: its plan row, if it has one.
        trace: its last attempt; None: not begun.
        campaign: for the tier.
        now: time of the last event of the run, for what still runs.
        trend: how it compares with earlier runs.
    """
    vendor, _, name = case_id.rpartition("/")
    verdict = trace.verdict if trace else None
    said = state(trace)
    places = [known for known, _, _ in OUTCOMES]
    rank = places.index(said)
    seconds = _stage_seconds(trace)
    facts = verdict.facts if verdict else {}
    carried = carried_of(verdict) if verdict else None
    return Entry(
        id=case_id,
        anchor=anchor(case_id),
        vendor=vendor,
        name=name,
        tier=campaign.tier_of(case.gpus).name if case else "",
        kind=str(case.probe) if case else "",
        gpus=case.gpus_text if case else "",
        gpu_count=case.gpus if case else 0,
        state=said,
        rank=rank,
        symbol=OUTCOMES[rank][1],
        word=_word(trace, OUTCOMES[rank][2]) + (f": {carried.outcome}" if carried else ""),
        cause=(verdict.cause or "") if verdict else "",
        owner=(verdict.owner or "") if verdict else "",
        summary=verdict.summary if verdict and not carried else "",
        hint=verdict.hint if verdict else "",
        times=tuple(seconds.get(stage) for stage in TIMED),
        hidden=trace.hidden_download if trace else 0.0,
        total=sum(seconds.values()),
        spans=_spans(trace, seconds),
        evidence=_evidence(verdict.evidence if verdict else ()),
        warnings=verdict.warnings if verdict else tuple(trace.warnings if trace else ()),
        repairs=tuple(_repair(item) for item in (trace.repairs if trace else ())),
        retries=verdict.retries if verdict else 0,
        answer=str(facts.get("answer") or ""),
        checked=_strings(facts.get("checked")),
        not_checked=_strings(facts.get("not_checked")),
        exchanges=_exchanges(trace),
        curl=_curl(case, trace),
        rerun=rerun_line([case_id]),
        when=_when(trace, now),
        finished=verdict.finished if verdict else "",
        attempt=trace.attempt if trace else 0,
        change=str(trend.change) if trend else "",
        change_text=trend.text if trend else "",
        slower=trend.slower.text if trend and trend.slower else "",
        carried=carried.text if carried else "",
    )


def anchor(case_id: str) -> str:
    """Fragment of a case: readable and unique."""
    return f"c-{re.sub(r'[^A-Za-z0-9]+', '-', case_id).strip('-').lower()}-{crc32(case_id.encode()) & 0xFFFF:04x}"


def rerun_line(cases: Sequence[str]) -> str:
    """The command that runs these cases again, and none whose name only begins like one of theirs."""
    exact = (f"[{case}]" for case in cases)
    return f"pytest -k {shlex.quote(' or '.join(exact))}"


def _word(trace: CaseTrace | None, word: str) -> str:
    span = trace.current if trace else None
    return f"{word}: {span.stage}" if span else word


def _stage_seconds(trace: CaseTrace | None) -> dict[str, float]:
    if trace is None:
        return {}
    if trace.verdict is not None:
        return {str(stage): seconds for stage, seconds in trace.verdict.stages.items()}
    return {str(span.stage): span.seconds for span in trace.spans if span.seconds is not None}


def _spans(trace: CaseTrace | None, seconds: Mapping[str, float]) -> tuple[Mapping[str, Any], ...]:
    total = sum(seconds.values()) or 1.0
    ended = trace.verdict.stage if trace and trace.verdict and trace.verdict.outcome is not Outcome.PASSED else None
    return tuple(
        {
            "stage": stage,
            "word": STAGE_WORDS.get(stage, stage),
            "seconds": took,
            "share": round(max(took / total, 0.004), 4),
            "ok": stage != ended,
        }
        for stage, took in seconds.items()
    )


def _evidence(lines: Sequence[EvidenceLine]) -> tuple[EvidenceLine, ...]:
    return tuple(EvidenceLine(line.source, _cut(line.text, EVIDENCE_CHARS)) for line in lines[:EVIDENCE_LINES])


def _repair(repair: Mapping[str, Any]) -> dict[str, str]:
    where = ": ".join(str(repair[key]) for key in ("file", "field") if repair.get(key))
    rule = f" ({repair['rule']})" if repair.get("rule") else ""
    return {"where": where + rule, "old": str(repair.get("old", "")), "new": str(repair.get("new", ""))}


def _exchanges(trace: CaseTrace | None) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "method": str(item.get("method", "")),
            "path": "/" + str(item.get("url", "")).split("://", 1)[-1].partition("/")[2],
            "status": item.get("status"),
            "error": str(item.get("error") or ""),
            "seconds": float(item.get("seconds") or 0.0),
            "request": _cut(str(item.get("request") or ""), REQUEST_CHARS),
            "response": _cut(str(item.get("response") or ""), RESPONSE_CHARS),
        }
        for item in (trace.exchanges if trace else ())
    )


def _curl(case: Case | None, trace: CaseTrace | None) -> str:
    if trace is None or trace.verdict is None or not trace.exchanges:
        return ""
    result = result_of(case, trace, _NOBODY) if case else result_without_plan(trace, _NOBODY)
    lines = curl(result)
    name = result.resource_name
    return "\n".join([f"kubectl port-forward svc/{name}-engine 8080:8080 -n {name} &", *lines]) if lines else ""


def _when(trace: CaseTrace | None, now: str) -> str:
    if trace is None:
        return "Not begun."
    started = trace.started[:19].replace("T", " ")
    attempt = f", attempt {trace.attempt}" if trace.attempt > 1 else ""
    if trace.finished:
        return f"{started} to {trace.finished[11:19]} UTC on {trace.worker}{attempt}"
    return f"since {started} UTC on {trace.worker}{attempt}, {max(0.0, epoch(now) - epoch(trace.started)):.0f} s so far"


def _strings(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
