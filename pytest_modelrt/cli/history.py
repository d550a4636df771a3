"""``modelrt history``: what each run said about a model, a line per run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

FINE, NOTHING, USAGE = 0, 1, 4


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("history", help="what each run said about a model", description=__doc__)
    parser.add_argument("pattern", help="part of the model's name, as vendor/name, object or on the hub")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="reports directory")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the latest N attempts of each model")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Print; 0 done, 1 no such model was ever tested, 4 the results cannot be read."""
    from pytest_modelrt.journal.files import JournalError
    from pytest_modelrt.journal.results import FILE, ResultsStore
    from pytest_modelrt.reporting.history_text import matching, render

    try:
        if not (arguments.reports / FILE).exists():
            raise JournalError(f"{arguments.reports / FILE}: no results yet; run pytest or name the right --reports")
        histories = matching(ResultsStore.open(arguments.reports).by_key.values(), arguments.pattern)
    except (JournalError, OSError) as error:
        print(f"modelrt history: {error}", file=sys.stderr)
        return USAGE
    for line in render(histories, arguments.limit):
        print(line)
    if not histories:
        print(f"modelrt history: no tested model has {arguments.pattern!r} in its name", file=sys.stderr)
    return FINE if histories else NOTHING
