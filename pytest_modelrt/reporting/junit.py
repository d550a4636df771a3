"""A run as JUnit XML, accepted by strict consumers. Pure.

The schema of Jenkins' xUnit plugin (junit-10.xsd) knows properties of a suite, none of a test case; what is known about
a case stands in its ``system-out`` as ``[[PROPERTY|name=value]]``, which GitLab shows, too.
"""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree import ElementTree

from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.journal.trace import RunView
from pytest_modelrt.plan.model import Case

MOST_CHARS = 32_000
"""Of one failure: consumers refuse or cut large reports."""
MOST_PROPERTY = 1000
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SILENT = (Outcome.SKIPPED, Outcome.NOT_RUN, Outcome.CARRIED_OVER)


def render(view: RunView, cases: dict[str, Case]) -> bytes:
    """One test suite; a case is a test named after its model, its vendor the class."""
    verdicts = sorted(view.verdicts.values(), key=lambda verdict: verdict.case)
    outcomes = [verdict.outcome for verdict in verdicts]
    suite = ElementTree.Element(
        "testsuite",
        name="pytest-modelrt",
        tests=str(len(verdicts)),
        failures=str(outcomes.count(Outcome.FAILED)),
        errors=str(outcomes.count(Outcome.ERROR)),
        skipped=str(sum(outcome in _SILENT for outcome in outcomes)),
        time=f"{sum(map(real_seconds, verdicts)):.3f}",
        timestamp=(view.info.started if view.info else "1970-01-01T00:00:00")[:19],
    )
    if view.info:
        facts = {"run_id": view.info.run_id, "cluster": view.info.cluster, "complete": view.complete}
        _properties(suite, {**facts, "simulated": view.info.simulated, "speed": view.info.speed})
    for verdict in verdicts:
        _testcase(suite, verdict, cases.get(verdict.case))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def properties(verdict: Verdict, case: Case | None) -> dict[str, object]:
    """What a consumer may want to group by; seconds are cluster seconds."""
    facts = {"gpus": case.gpus, "type": case.type, "probe": case.probe, "hub_id": case.hub_id} if case else {}
    values: dict[str, object] = {
        "vendor": verdict.case.partition("/")[0],
        **facts,
        "outcome": verdict.outcome,
        "cause": verdict.cause,
        "stage": verdict.stage,
        "owner": verdict.owner,
        "retries": verdict.retries or None,
        **{f"{stage}_seconds": round(seconds, 1) for stage, seconds in verdict.stages.items()},
        "warnings": "; ".join(verdict.warnings) or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def real_seconds(verdict: Verdict) -> float:
    """Wall-clock seconds of an attempt, as JUnit wants them."""
    try:
        return max(0.0, (_moment(verdict.finished) - _moment(verdict.started)).total_seconds())
    except ValueError:
        return 0.0


def clean(text: object) -> str:
    """``text`` without what XML 1.0 cannot hold."""
    return _FORBIDDEN.sub("\ufffd", str(text))


def _testcase(suite: ElementTree.Element, verdict: Verdict, case: Case | None) -> None:
    vendor, _, name = verdict.case.rpartition("/")
    attributes = {
        "classname": clean(f"modelrt.{vendor.replace('.', '_')}" if vendor else "modelrt"),
        "name": clean(name),
        "time": f"{real_seconds(verdict):.3f}",
    }
    test = ElementTree.SubElement(suite, "testcase", attributes)
    message = clean(f"{verdict.cause or verdict.outcome}: {' '.join(verdict.summary.split())}"[:1000])
    if verdict.outcome in _SILENT:
        skipped = ElementTree.SubElement(test, "skipped", type=clean(verdict.cause or verdict.outcome), message=message)
        skipped.text = message
    elif verdict.outcome in (Outcome.FAILED, Outcome.ERROR):
        kind = "failure" if verdict.outcome is Outcome.FAILED else "error"
        element = ElementTree.SubElement(test, kind, type=clean(verdict.cause or "unknown"), message=message)
        lines = [message, *(f"| {line.source}: {line.text}" for line in verdict.evidence)]
        text = clean("\n".join([*lines, f"hint: {verdict.hint}"] if verdict.hint else lines))
        element.text = (
            text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 40]}\n... shortened, see the run directory"
        )
    _facts(test, properties(verdict, case))


def _facts(test: ElementTree.Element, values: dict[str, object]) -> None:
    lines = (f"[[PROPERTY|{name}={' '.join(clean(value).split())[:MOST_PROPERTY]}]]" for name, value in values.items())
    ElementTree.SubElement(test, "system-out").text = "\n".join(lines)


def _properties(parent: ElementTree.Element, values: dict[str, object]) -> None:
    holder = ElementTree.SubElement(parent, "properties")
    for name, value in values.items():
        ElementTree.SubElement(holder, "property", name=name, value=clean(value)[:MOST_PROPERTY])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
