"""``modelrt check``: lint a config tree."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelrt.manifests.lint.findings import Finding

USAGE = 4


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="lint a config tree",
        description="Check models, runtimes and InferenceServices by themselves, against each other and the plan. "
        "Exit code 0: fine, 1: errors, 4: nothing to check there.",
    )
    parser.add_argument(
        "path", nargs="?", type=Path, default=Path("config"), metavar="PATH", help="tree or file (config)"
    )
    parser.add_argument("--format", choices=("text", "github"), default="text", help="how findings are written")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Print findings; 0 fine, 1 findings, 4 usage."""
    from pytest_modelrt.manifests.lint.findings import Severity
    from pytest_modelrt.manifests.lint.run import check_tree
    from pytest_modelrt.plan.problems import ConfigError

    try:
        report = check_tree(arguments.path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return USAGE
    if not report.objects and not report.findings:
        print(f"{arguments.path}: no models, runtimes or InferenceServices here", file=sys.stderr)
        return USAGE
    for finding in report.findings:
        print(_annotation(finding) if arguments.format == "github" else finding)
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    print(f"{report.objects} objects in {report.files} files: {errors} errors, {warnings} warnings", file=sys.stderr)
    return 1 if errors or (warnings and arguments.strict) else 0


def _annotation(finding: Finding) -> str:
    """A workflow command that puts the finding beside its line."""
    problem = finding.problem
    place = f"file={_escape(problem.file, name=True)}"
    if problem.line:
        place += f",line={problem.line}"
    message = ": ".join(part for part in (problem.field, problem.what) if part)
    return f"::{finding.severity} {place},title=modelrt check::{_escape(f'{message}; {problem.remedy}')}"


def _escape(text: str, *, name: bool = False) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if name else escaped
