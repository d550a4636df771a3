"""How a case ends before its time, and what that means to people."""

from __future__ import annotations

from pytest_modelrt.diagnosis.model import Finding
from pytest_modelrt.journal.model import EvidenceLine, Outcome, Stage


class CaseEnded(Exception):
    """A stage gave up and diagnosis named the cause; nothing after it may run but cleanup."""

    def __init__(self, stage: Stage, finding: Finding, hint: str) -> None:
        super().__init__(finding.detail or finding.cause.title)
        self.stage = stage
        self.finding = finding
        self.hint = hint
        """What to do about it, with the names of this case filled in."""

    @property
    def outcome(self) -> Outcome:
        """What the cause says about the case."""
        return self.finding.outcome

    @property
    def summary(self) -> str:
        """One line: the concrete words first, else the cause's title."""
        text = self.finding.detail or self.finding.cause.title
        return " ".join(text.split())

    def text(self, max_lines: int = 8) -> str:
        """The failure as shown in the terminal and in JUnit: cause, owner, evidence, hint; no traceback."""
        cause = self.finding.cause
        lines = [f"{cause.slug}: {self.summary}", f"  stage {self.stage}, owner {cause.owner}"]
        lines += [f"  | {line}" for line in map(shown, self.finding.lines[:max_lines])]
        hidden = len(self.finding.lines) - max_lines
        if hidden > 0:
            lines.append(f"  | ... {hidden} more in the run directory")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


def shown(line: EvidenceLine) -> str:
    """``source: text`` on one line, bounded."""
    text = " ".join(line.text.split())
    return f"{line.source}: {text if len(text) <= 400 else text[:399] + '…'}"
