"""``modelrt watch``: a run as it goes on, from its journal alone, wherever it was started."""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_modelrt.journal.trace import RunView
    from pytest_modelrt.plan.model import Campaign, Plan
    from pytest_modelrt.reporting.live import Expected, LiveState
    from pytest_modelrt.reporting.live_text import Line

FINE, USAGE = 0, 4
INTERVAL = 1.0
"""Real seconds between two looks."""


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("watch", help="show a run as it goes on", description=__doc__)
    parser.add_argument("--run", metavar="ID", help="run to watch, a unique beginning is enough (the latest)")
    parser.add_argument("--reports", type=Path, metavar="DIR", help="reports directory (campaign.yaml's, else reports)")
    parser.add_argument("--config", type=Path, default=Path("config"), metavar="DIR", help="config tree (config)")
    parser.add_argument("--once", action="store_true", help="print the present state and end")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Show until the run ends; 0 done, 4 there is no such run."""
    from pytest_modelrt.journal.files import JournalError
    from pytest_modelrt.journal.rundir import find_run
    from pytest_modelrt.plan.load import load_campaign, load_plan
    from pytest_modelrt.plan.problems import ConfigError

    try:
        plan, campaign = load_plan(arguments.config), load_campaign(arguments.config)
        watched = Watched(find_run(arguments.reports or Path(campaign.reports), arguments.run), plan, campaign)
        if arguments.once:
            _print(watched.look())
        elif sys.stdout.isatty():
            _live(watched)
        else:
            _log(watched)
    except (JournalError, ConfigError, OSError) as error:
        print(f"modelrt watch: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return FINE
    return FINE


class Watched:
    """A run directory that is looked at again and again."""

    def __init__(self, run_dir: Path, plan: Plan, campaign: Campaign) -> None:
        from pytest_modelrt.journal.reader import JournalReader
        from pytest_modelrt.scheduling.estimates import download_seconds

        self._run_dir = run_dir
        self._reader = JournalReader(run_dir)
        self._cases = plan.by_id()
        self._campaign = campaign
        self._downloads = {case.id: download_seconds(case) for case in plan.cases}

    def look(self) -> LiveState:
        """The state now.

        Raises:
            JournalError: the run is not there any more.
        """
        from pytest_modelrt.journal.alive import alive
        from pytest_modelrt.reporting.live import live_state

        self._reader.refresh()
        view = self._reader.view
        now = datetime.now(UTC).timestamp()
        return live_state(
            view, self._cases, self._campaign, now=now, alive=alive(self._run_dir), expected=self._expected(view, now)
        )

    def _expected(self, view: RunView, now: float) -> Expected:
        """Usual download times, and the rest of the run played through with the durations seen so far."""
        from dataclasses import replace

        from pytest_modelrt.reporting.live import Expected
        from pytest_modelrt.reporting.numbers import epoch
        from pytest_modelrt.scheduling.estimates import estimate
        from pytest_modelrt.scheduling.forecast import forecast
        from pytest_modelrt.scheduling.jobs import Job
        from pytest_modelrt.scheduling.limits import Limits
        from pytest_modelrt.scheduling.order import Order

        info = view.info
        if info is None or info.finished:
            return Expected(self._downloads)
        seen = {case: sum(verdict.stages.values()) for case, verdict in view.verdicts.items() if verdict.stages}
        usual = estimate(self._cases.values(), self._campaign, seen)
        jobs = []
        carried = view.to_be_carried
        for name in info.selection:
            if name in carried:
                continue
            case, trace = self._cases.get(name), view.latest.get(name)
            if case is None or (trace is not None and trace.verdict is not None):
                continue
            age = (now - epoch(trace.started)) * info.speed if trace else 0.0
            jobs.append(Job(name, (name,), case.gpus, max(30.0, usual[name] - age), name, case.phase, 0, case.index))
        tiers = tuple(replace(t, limit=info.limits.get(t.name, t.limit)) for t in self._campaign.tiers)
        budget = info.limits.get("gpu_budget", self._campaign.gpu_budget)
        limits = Limits.of(replace(self._campaign, tiers=tiers, gpu_budget=budget))
        return Expected(self._downloads, forecast(jobs, limits, info.workers, Order.FAST).makespan)


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines


def _print(state: LiveState) -> None:
    from pytest_modelrt.reporting.live_text import frame, plain

    for line in frame(state, *_size(), datetime.now(UTC)):
        print(plain(line))


def _live(watched: Watched) -> None:
    """Redraw in place on the terminal's second screen; the last state stays in the scrollback."""
    try:
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        print("modelrt watch: for a block that redraws itself: pip install 'pytest-modelrt[live]'", file=sys.stderr)
        _log(watched)
        return
    from pytest_modelrt.clock import ScaledClock
    from pytest_modelrt.reporting.live_text import STYLES, frame

    def drawn(state: LiveState) -> Text:
        lines: list[Line] = frame(state, *_size(), datetime.now(UTC))
        pieces = [Text.assemble(*((text, STYLES.get(style, "")) for text, style in line)) for line in lines]
        return Text("\n").join(pieces)

    clock, state = ScaledClock(), watched.look()
    with Live(drawn(state), screen=True, auto_refresh=False) as live:
        while state.state == "running":
            clock.sleep(INTERVAL)
            state = watched.look()
            live.update(drawn(state), refresh=True)
    _print(state)


def _log(watched: Watched) -> None:
    """Without a terminal: a line whenever the number of verdicts changes."""
    from pytest_modelrt.clock import ScaledClock
    from pytest_modelrt.reporting.live_text import status_line

    clock, shown = ScaledClock(), -1
    while True:
        state = watched.look()
        if state.done != shown or state.state != "running":
            shown = state.done
            print(status_line(state), flush=True)
        if state.state != "running":
            return
        clock.sleep(INTERVAL)
