"""``modelrt report``: render pages of a run again, from its journal alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_modelrt.plan.model import Campaign, Plan

FINE, USAGE = 0, 4
FORMATS = ("md", "html", "json", "junit")


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("report", help="render the pages of a run again", description=__doc__)
    parser.add_argument("--run", metavar="ID", help="run to render, a unique beginning is enough (the latest)")
    parser.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="first put these runs (shards; run or reports directories) together into a new one, and render that",
    )
    parser.add_argument("--format", choices=FORMATS, default="md", help="md rewrites all pages, others print (md)")
    parser.add_argument("--reports", type=Path, metavar="DIR", help="reports directory (campaign.yaml's, else reports)")
    parser.add_argument("--config", type=Path, default=Path("config"), metavar="DIR", help="config tree (config)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="md: the summary page to bring up to date")
    parser.add_argument("--vendor-dir", type=Path, metavar="DIR", help="md: where the vendor pages go")
    parser.add_argument("--vendor-case", choices=("lower", "keep"), default="lower", help="md: spelling of their names")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Render; 0 done, 4 there is nothing to render or it cannot be read."""
    from pytest_modelrt.journal.files import JournalError
    from pytest_modelrt.plan.load import load_campaign, load_plan
    from pytest_modelrt.plan.problems import ConfigError

    try:
        plan, campaign = load_plan(arguments.config), load_campaign(arguments.config)
        reports = arguments.reports or Path(campaign.reports)
        if arguments.merge:
            from pytest_modelrt.journal.merge import merge_runs

            arguments.run = merge_runs(arguments.merge, reports).name
        if arguments.format == "md":
            _pages(arguments, reports, plan, campaign)
        else:
            _document(arguments, reports, plan, campaign)
    except (JournalError, ConfigError) as error:
        print(f"modelrt report: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"modelrt report: {error.filename}: {error.strerror}", file=sys.stderr)
        return USAGE
    return FINE


def _pages(arguments: argparse.Namespace, reports: Path, plan: Plan, campaign: Campaign) -> None:
    from dataclasses import replace

    from pytest_modelrt.journal.rundir import find_run
    from pytest_modelrt.reporting.pages import Places, RunPages

    places = replace(Places.under(reports), keep_case=arguments.vendor_case == "keep")
    if arguments.summary:
        places = replace(places, summary=arguments.summary)
    if arguments.vendor_dir:
        places = replace(places, vendors=arguments.vendor_dir)
    changed = RunPages(reports, plan, campaign, find_run(reports, arguments.run), places=places).update()
    for path in changed:
        print(path)
    if not changed:
        print(f"{places.summary} and the other pages are up to date")


def _document(arguments: argparse.Namespace, reports: Path, plan: Plan, campaign: Campaign) -> None:
    from pytest_modelrt.journal.files import atomic_write
    from pytest_modelrt.journal.history import Trends
    from pytest_modelrt.journal.reader import read_run
    from pytest_modelrt.journal.results import FILE, ResultsStore
    from pytest_modelrt.journal.rundir import find_run
    from pytest_modelrt.reporting import junit, run_json
    from pytest_modelrt.reporting.html import HtmlPage

    view = read_run(find_run(reports, arguments.run))
    cases = plan.by_id()
    trends = Trends(ResultsStore.open(reports), cases) if (reports / FILE).exists() else None
    if arguments.format == "html":
        data = HtmlPage(plan, campaign, trends).render(view)
    elif arguments.format == "json":
        data = run_json.render(view, cases, trends)
    else:
        data = junit.render(view, cases)
    if arguments.output:
        atomic_write(arguments.output, data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
