"""From evidence to one cause: all findings ranked, the first cause in time wins, unknown stays unknown."""

from __future__ import annotations

from pytest_modelrt.diagnosis.causes import CAUSES, UNKNOWN
from pytest_modelrt.diagnosis.logs import tail
from pytest_modelrt.diagnosis.model import Evidence, Finding
from pytest_modelrt.diagnosis.rules import ALL
from pytest_modelrt.diagnosis.rules.objects import component, event_line, event_time, name_of
from pytest_modelrt.journal.model import EvidenceLine

_AFTERMATH = frozenset({"crashloop-unclassified", "startup-timeout", "probe-endpoint-mismatch", "warmup-hang"})
"""Causes that other causes produce as well: they yield to any finding that says more."""


def ranked(evidence: Evidence) -> list[Finding]:
    """All findings, the most likely cause first.

    Specific findings come before those that are also aftermath of others; then the order of cause and effect of the
    rules; within one module the earliest sign. A router's findings come after the engine's.
    """
    found = [(place, finding) for place, rules in enumerate(ALL) for finding in rules(evidence)]
    found.sort(key=lambda item: (_is_router(evidence, item[1]), item[1].cause.slug in _AFTERMATH, item[0],
                                 item[1].time or "~"))  # fmt: skip
    unique: dict[str, Finding] = {}
    for _, finding in found:
        unique.setdefault(finding.cause.slug, finding)
    return list(unique.values())


def diagnose(evidence: Evidence, *, known: str | None = None) -> Finding:
    """The cause of a stage that gave up.

    Args:
        evidence: what is known about the case.
        known: slug the stack is sure of (arithmetic before a download), which outranks the rules.
    """
    findings = ranked(evidence)
    if known in CAUSES:
        same = next((finding for finding in findings if finding.cause.slug == known), None)
        return same or Finding(CAUSES[known], (), evidence.detail)
    return findings[0] if findings else _unknown(evidence)


def hint_of(finding: Finding, **values: str) -> str:
    """The finding's hint, with ``{case}``, ``{hub_id}`` ... of the cause's own hint filled in where given."""

    class Known(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return f"<{key.replace('_', '-')}>"

    return finding.hint or finding.cause.hint.format_map(Known(values))


def as_fields(finding: Finding, **values: str) -> dict[str, object]:
    """The fields of a ``Verdict`` that come from a finding."""
    cause = finding.cause
    return {
        "outcome": finding.outcome,
        "cause": cause.slug,
        "owner": cause.owner.value,
        "summary": finding.detail or cause.title,
        "hint": hint_of(finding, **values),
        "evidence": finding.lines,
    }


def _is_router(evidence: Evidence, finding: Finding) -> bool:
    routers = {name_of(pod.manifest) for pod in evidence.pods if component(pod.manifest) == "router"}
    return any(name in line.source for name in routers for line in finding.lines)


def _unknown(evidence: Evidence) -> Finding:
    """Nothing matched: the best evidence there is, and no guess."""
    lines = [EvidenceLine(f"stage {evidence.stage.value}", f"{evidence.reason}: {evidence.detail}")]
    warnings = sorted((e for e in evidence.events if e.get("type") == "Warning"), key=event_time)
    lines += [event_line(event) for event in warnings[:3]]
    for pod in evidence.pods[:2]:
        for container, log in pod.logs.items():
            lines += [EvidenceLine(f"log {container}", line) for line in tail(log, 5)]
    return Finding(UNKNOWN, tuple(lines), evidence.detail or evidence.reason)
