"""Two runs side by side: what broke, what was fixed, what starts slower. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_modelrt.journal.history import SLACK_REAL_SECONDS, SLACK_SECONDS, SLOWER
from pytest_modelrt.journal.model import Outcome, RunInfo, Stage, Verdict
from pytest_modelrt.journal.trace import RunView
from pytest_modelrt.reporting.markdown import cell, code, row

_DECIDED = (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
GROUPS = (
    ("New failures", "failed now, passed or undecided before"),
    ("Fixed", "passed now, failed before"),
    ("Other cause", "failed both times, for another reason"),
    ("Still failing", "failed both times for the same reason"),
    ("Lost verdicts", "decided before, no verdict now"),
    ("New verdicts", "decided now, not before"),
    ("Slower start-ups", f"at least {SLOWER:g} times as long, in cluster seconds"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One case of a group."""

    case: str
    before: str
    after: str
    note: str = ""


@dataclass(slots=True)
class Comparison:
    """What is different in ``after`` from ``before``."""

    before: RunInfo
    after: RunInfo
    groups: dict[str, list[Difference]] = field(default_factory=dict)
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    """Cases that one of the two runs did not run again."""
    same: int = 0
    """Cases with the same outcome and cause both times."""

    @property
    def regressed(self) -> bool:
        """Whether something failed that had not."""
        return bool(self.groups.get("New failures"))


def compare(before: RunView, after: RunView) -> Comparison:
    """Compare two runs; what a resumed run carried over counts as not run there.

    Raises:
        ValueError: a view has no run record.
    """
    if before.info is None or after.info is None:
        raise ValueError("both runs need their record")
    old, new = _own(before), _own(after)
    found = Comparison(before.info, after.info)
    carried = (set(before.verdicts) - set(old)) | (set(after.verdicts) - set(new))
    found.carried = sorted(carried, key=str.lower)
    found.only_before = sorted(set(old) - set(new) - carried, key=str.lower)
    found.only_after = sorted(set(new) - set(old) - carried, key=str.lower)
    slack = max(SLACK_SECONDS, SLACK_REAL_SECONDS * max(before.info.speed, after.info.speed))
    for case in sorted(set(old) & set(new), key=str.lower):
        one, other = old[case], new[case]
        group = _group(one, other)
        note = "inputs changed" if one.inputs and other.inputs and one.inputs != other.inputs else ""
        if group:
            found.groups.setdefault(group, []).append(Difference(case, _said(one), _said(other), note))
        if group is None or group == "Still failing":
            found.same += 1
        took, takes = one.stages.get(Stage.SERVICE), other.stages.get(Stage.SERVICE)
        passed = one.outcome is other.outcome is Outcome.PASSED
        if passed and took and takes and takes > SLOWER * took and takes > took + slack:
            slower = Difference(case, f"{took:.0f} s", f"{takes:.0f} s", f"{takes / took:.1f} times")
            found.groups.setdefault("Slower start-ups", []).append(slower)
    return found


def as_text(found: Comparison) -> list[str]:
    """For the terminal."""
    lines = [f"before  {_run(found.before)}", f"after   {_run(found.after)}", ""]
    for title, meaning, differences in _groups(found):
        lines.append(f"{title} ({len(differences)}): {meaning}")
        for item in differences:
            note = f"  [{item.note}]" if item.note else ""
            lines.append(f"  {item.case}: {item.before} -> {item.after}{note}")
    lines += [f"{what}: {text}" for what, text in _rest(found)]
    return lines


def as_markdown(found: Comparison) -> list[str]:
    """For a pull request or a step summary."""
    lines = [f"# {found.before.run_id} compared with {found.after.run_id}", ""]
    lines += [f"- before: {_run(found.before)}", f"- after: {_run(found.after)}", ""]
    for title, meaning, differences in _groups(found):
        lines += [f"## {title} ({len(differences)})", "", f"{meaning[0].upper()}{meaning[1:]}.", ""]
        lines += [row(["Model", "Before", "After", "Note"]), row(["---"] * 4)]
        lines += [row([code(d.case), cell(d.before), cell(d.after), cell(d.note or "-")]) for d in differences]
        lines.append("")
    return [*lines, *(f"- {what}: {cell(text)}" for what, text in _rest(found))]


def _groups(found: Comparison) -> Iterator[tuple[str, str, list[Difference]]]:
    return ((title, meaning, found.groups[title]) for title, meaning in GROUPS if title in found.groups)


def _rest(found: Comparison) -> Iterator[tuple[str, str]]:
    yield "Unchanged", f"{found.same} cases"
    rest = {"Carried over, not run again": found.carried, "Only before": found.only_before}
    for what, cases in (rest | {"Only after": found.only_after}).items():
        if cases:
            more = f" and {len(cases) - 10} more" if len(cases) > 10 else ""
            yield what, f"{len(cases)} cases: {', '.join(cases[:10])}{more}"


def _group(one: Verdict, other: Verdict) -> str | None:
    was, now = one.outcome, other.outcome
    if now is Outcome.FAILED and was is not Outcome.FAILED:
        return "New failures"
    if was is now is Outcome.FAILED:
        return "Still failing" if one.cause == other.cause else "Other cause"
    if was is Outcome.FAILED and now is Outcome.PASSED:
        return "Fixed"
    if was in _DECIDED and now not in _DECIDED:
        return "Lost verdicts"
    if was not in _DECIDED and now in _DECIDED:
        return "New verdicts"
    return "New verdicts" if was is not now and now in _DECIDED else None


def _own(view: RunView) -> dict[str, Verdict]:
    return {case: verdict for case, verdict in view.verdicts.items() if verdict.outcome is not Outcome.CARRIED_OVER}


def _said(verdict: Verdict) -> str:
    return f"{verdict.outcome} {verdict.cause}" if verdict.cause else str(verdict.outcome)


def _run(info: RunInfo) -> str:
    platform = f", {info.platform}" if info.platform else ""
    state = "" if info.finished else ", incomplete"
    return f"{info.run_id}, {info.started[:16].replace('T', ' ')} UTC, {info.cluster}{platform}{state}"
