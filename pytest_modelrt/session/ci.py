"""Tells the CI system that runs us what happened, in its own ways; does nothing elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_modelrt.journal.history import Trend
from pytest_modelrt.journal.model import RunInfo, Verdict
from pytest_modelrt.plan.load import display
from pytest_modelrt.reporting.github import annotations_of, step_summary
from pytest_modelrt.session.run import Run


def tell_github(
    run: Run, info: RunInfo, verdicts: Sequence[Verdict], trends: Mapping[str, Trend], write: Callable[[str], None]
) -> None:
    """Append to ``$GITHUB_STEP_SUMMARY``, and write annotations where GitHub Actions reads the output.

    Raises:
        OSError: the summary file cannot be written.
    """
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with Path(place).open("a", encoding="utf-8", errors="replace") as file:
            pages = f"All pages: {display(run.reports)}/index.html in the artifact of this job."
            file.write(step_summary(info, verdicts, trends, pages))
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    config = run.settings.config
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or run.directory.anchor)
    root = config.relative_to(workspace).as_posix() if config.is_relative_to(workspace) else display(config)

    def read(path: str) -> str:
        try:
            return (config / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    for annotation in annotations_of(verdicts, root, read):
        write(annotation.command())
