"""Tests of models behind the gateway: what each found goes to the controller, which pronounces one verdict per model.

Such a test is marked ``maas``. It is no case of the plan: many tests together are the case ``maas/<model>``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.model import EventKind, EvidenceLine, Outcome, Stage, StageEvent, Verdict
from pytest_modelrt.reporting.maas_md import VENDOR, load_lines
from pytest_modelrt.session.surroundings import journal_of
from pytest_modelrt.stacks.kserve.judge import MaasFailure

MARKER = "maas"
DEFAULT_MODEL = "model-a"
"""The model of a test that names none."""
REPORT_ATTRIBUTE = "modelrt_maas"
"""On the teardown report: ``Finding`` as plain data."""
WRONG = "gateway-wrong-answer"
_WORST = (Outcome.FAILED, Outcome.ERROR, Outcome.PASSED, Outcome.SKIPPED)


@dataclass(slots=True)
class Finding:
    """What one test found."""

    test: str
    model: str
    outcome: str = Outcome.PASSED.value
    cause: str = ""
    text: str = ""
    seconds: float = 0.0
    """Real seconds of the test's own code."""
    facts: dict[str, Any] = field(default_factory=dict)


FINDING = pytest.StashKey[Finding]()


def finding_of(item: pytest.Item) -> Finding:
    """The finding of a test, for additions to its ``facts``."""
    if FINDING not in item.stash:
        item.stash[FINDING] = Finding(item.name, _model_of(item))
    return item.stash[FINDING]


def _model_of(item: pytest.Item) -> str:
    """The model a parameter of the test or its marker names."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    marker = item.get_closest_marker(MARKER)
    named = [value for value in (*parameters.values(), *(marker.args if marker else ())) if isinstance(value, str)]
    return next((value for value in named if value.startswith("model-")), DEFAULT_MODEL)


class MaasFindings:
    """Registered in every process: turns the reports of such tests into findings."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Collect what the phases say; the teardown report carries it all."""
        report = yield
        if item.get_closest_marker(MARKER) is None:
            return report
        finding = finding_of(item)
        _note(finding, report, call)
        if call.when == "teardown":
            setattr(report, REPORT_ATTRIBUTE, asdict(finding))
            event = StageEvent(
                time=rfc3339(utc_now()),
                kind=EventKind.OBSERVATION,
                case=f"{VENDOR}/{finding.model}",
                data={"what": "test", **asdict(finding)},
            )
            journal_of(item.config).record(event)
        elif finding.cause:
            item.user_properties += [("cause", finding.cause)] if report.failed else []
        return report


def _note(finding: Finding, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    if call.when == "call":
        finding.seconds = round(call.duration, 3)
    if call.excinfo is None or finding.outcome != Outcome.PASSED.value:
        return
    error = call.excinfo.value
    told = str(error) if isinstance(error, MaasFailure) else call.excinfo.exconly(tryshort=True)
    text = " ".join(told.split())[:600]
    if report.skipped:
        finding.outcome, finding.text = Outcome.SKIPPED.value, text
        if hasattr(report, "wasxfail"):
            finding.text = f"as expected: {report.wasxfail}"
        return
    finding.outcome = (Outcome.FAILED if call.when == "call" else Outcome.ERROR).value
    judged = error.judgement.cause if isinstance(error, MaasFailure) else ""
    finding.cause, finding.text = judged or _first_word(text) or WRONG, text


def _first_word(text: str) -> str:
    """The slug a message begins with, if it does."""
    for word in text.replace(":", " ").split()[:3]:
        if word in CAUSES:
            return word
    return ""


def verdicts(findings: Iterable[Finding], started: str) -> list[Verdict]:
    """One verdict per model: failed as soon as one test failed, skipped when every test was."""
    by_model: dict[str, list[Finding]] = {}
    for finding in findings:
        by_model.setdefault(finding.model, []).append(finding)
    return [_verdict(model, found, started) for model, found in sorted(by_model.items())]


def _verdict(model: str, findings: list[Finding], started: str) -> Verdict:
    outcomes = {finding.outcome for finding in findings}
    outcome = next(value for value in _WORST if value.value in outcomes)
    bad = [finding for finding in findings if finding.outcome in (Outcome.FAILED.value, Outcome.ERROR.value)]
    first = _telling(bad) or (findings[0] if outcome is Outcome.SKIPPED else None)
    cause = CAUSES.get(first.cause or _first_word(first.text)) if first else None
    deployed: dict[str, Any] = next(
        (finding.facts["deployed"] for finding in findings if "deployed" in finding.facts), {}
    )
    stages = {Stage.SERVICE.value: deployed["seconds"]} if "seconds" in deployed else {}
    return Verdict(
        case=f"{VENDOR}/{model}",
        outcome=outcome,
        started=started,
        finished=rfc3339(utc_now()),
        stages=stages,
        cause=cause.slug if cause else None,
        stage=(cause.stage if cause else Stage.PROBE) if first else None,
        owner=cause.owner.value if cause else None,
        summary=_summary(first, bad, len(findings)) if first else "",
        hint=cause.hint if cause else "",
        evidence=tuple(EvidenceLine(f"test {finding.test}", finding.text) for finding in bad[:10]),
        facts={
            "endpoint": "/v1/chat/completions",
            "tests": [asdict(finding) for finding in findings],
            **({"deployed": deployed} if deployed else {}),
        },
    )


def _telling(bad: list[Finding]) -> Finding | None:
    """The finding that speaks for all: one with the cause most of them have; a mere wrong answer says least."""
    counts = Counter(finding.cause for finding in bad)
    return max(bad, key=lambda finding: (finding.cause != WRONG, counts[finding.cause]), default=None)


def _summary(first: Finding, bad: list[Finding], total: int) -> str:
    if not bad:
        return first.text
    return f"{len(bad)} of {total} tests did not pass; {first.test}: {first.text}"[:400]


class MaasAccount:
    """The controller's side: gathers findings, and says the verdicts at the end."""

    def __init__(self) -> None:
        self.load_lines: list[str] = []
        """What the terminal shows about load tests."""
        self._findings: dict[str, Finding] = {}
        self._started = ""

    def start(self) -> None:
        """A run with such tests begins."""
        self._started = rfc3339(utc_now())

    def take(self, nodeid: str, data: dict[str, Any]) -> None:
        """A test came to its end."""
        self._findings[nodeid] = Finding(**data)

    def close(self) -> list[Verdict]:
        """The verdicts, each once."""
        loads = [finding.facts["load"] for finding in self._findings.values() if "load" in finding.facts]
        self.load_lines = load_lines(loads)
        said = verdicts(self._findings.values(), self._started)
        self._findings = {}
        return said
