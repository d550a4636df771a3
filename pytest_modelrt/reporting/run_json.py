"""A run as one JSON document with a versioned schema. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from pytest_modelrt.journal.history import Trend, Trends
from pytest_modelrt.journal.model import Verdict
from pytest_modelrt.journal.trace import CaseTrace, RunView
from pytest_modelrt.plan.model import Case

SCHEMA = 1
KIND = "pytest-modelrt run"


def render(view: RunView, cases: dict[str, Case], trends: Trends | None = None) -> bytes:
    """The run; ``complete`` is false while it goes on and when it was killed."""
    text = json.dumps(document(view, cases, trends), ensure_ascii=False, indent=1, default=str)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def document(view: RunView, cases: dict[str, Case], trends: Trends | None = None) -> dict[str, Any]:
    """The same as data."""
    verdicts = view.verdicts
    selected = view.info.selection if view.info else ()
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "run": view.info.as_data() if view.info else None,
        "complete": view.complete,
        "torn_lines": view.torn,
        "counts": dict(sorted(Counter(str(verdict.outcome) for verdict in verdicts.values()).items())),
        "causes": causes(verdicts),
        "without_verdict": [case for case in selected if case not in verdicts],
        "cases": [
            _case(trace, cases.get(trace.case)) | _change(trends.of(trace, view.info) if trends else None)
            for trace in view.latest.values()
            if trace.verdict is not None
        ],
        "breaker": [event.as_data() for event in view.breaker],
    }


def causes(verdicts: dict[str, Verdict]) -> list[dict[str, Any]]:
    """Every cause with its cases, most frequent first."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts.values():
        if verdict.cause:
            found.setdefault(verdict.cause, []).append(verdict)
    return [
        {
            "cause": slug,
            "count": len(group),
            "outcome": str(group[0].outcome),
            "owner": group[0].owner,
            "cases": sorted(verdict.case for verdict in group),
        }
        for slug, group in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _change(trend: Trend | None) -> dict[str, Any]:
    """Since earlier runs; nothing when there are none to compare with."""
    if trend is None:
        return {}
    slower = {"slower": asdict(trend.slower)} if trend.slower else {}
    return {"history": {"change": str(trend.change), "since": trend.since, "text": trend.text, **slower}}


def _case(trace: CaseTrace, case: Case | None) -> dict[str, Any]:
    facts = {"vendor": case.vendor, "gpus": case.gpus, "type": case.type, "probe": str(case.probe)} if case else {}
    return {
        "case": trace.case,
        **facts,
        "worker": trace.worker,
        "verdict": trace.verdict.as_data() if trace.verdict else None,
        "stages": [
            {"stage": str(span.stage), "started": span.started, "finished": span.finished, "seconds": span.seconds}
            for span in trace.spans
        ],
        "exchanges": list(trace.exchanges),
        "repairs": list(trace.repairs),
        "retries": list(trace.retries),
    }
