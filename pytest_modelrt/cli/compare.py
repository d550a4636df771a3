"""``modelrt compare``: what is different in a later run from an earlier one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

SAME, REGRESSED, USAGE = 0, 1, 4


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("compare", help="what is different between two runs", description=__doc__)
    parser.add_argument("before", help="run id, a unique beginning is enough")
    parser.add_argument("after", nargs="?", help="run id (the latest)")
    parser.add_argument("--format", choices=("text", "md"), default="text", help="Markdown for a comment (text)")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="reports directory")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Print; 0 nothing new failed, 1 something did, 4 a run cannot be read."""
    from pytest_modelrt.journal.files import JournalError
    from pytest_modelrt.journal.reader import read_run
    from pytest_modelrt.journal.rundir import find_run
    from pytest_modelrt.reporting.compare import as_markdown, as_text, compare

    try:
        before, after = (read_run(find_run(arguments.reports, name)) for name in (arguments.before, arguments.after))
    except (JournalError, OSError) as error:
        print(f"modelrt compare: {error}", file=sys.stderr)
        return USAGE
    found = compare(before, after)
    for line in (as_markdown if arguments.format == "md" else as_text)(found):
        print(line)
    return REGRESSED if found.regressed else SAME
