"""What it costs to bring all pages up to date after one more case.

    python -m benchmarks.rendering 157 10000

Prints processor time per finished case, for a campaign in which all but the last cases are done, and what bringing
all pages up to date costs each time it is done: after cases that end close together it is done once for all of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Case, Plan
from pytest_modelrt.reporting.pages import RunPages
from tests.selftest.reporting.campaign import Clockwork, some_troubles

CONFIG = Path(__file__).parents[1] / "config"
MEASURED = 40


def cases_of(count: int) -> tuple[Case, ...]:
    """The plan, repeated under other vendor names until there are enough cases."""
    plan = load_plan(CONFIG).cases
    found: list[Case] = []
    while len(found) < count:
        lap = len(found) // len(plan)
        found += [replace(case, vendor=f"{case.vendor}-{lap}" if lap else case.vendor) for case in plan]
    return tuple(replace(case, index=place + 1) for place, case in enumerate(found[:count]))


class Feeder:
    """Hands a finished campaign's journal lines to another run directory, up to one verdict after the other."""

    def __init__(self, source: Path, target: Path) -> None:
        self._target = target
        self._lines = {path.name: path.read_bytes().splitlines(keepends=True) for path in source.glob("events-*")}
        self._fed = dict.fromkeys(self._lines, 0)
        self.verdicts = sorted(
            (line.split(b'"time":"')[1][:24], name, place)
            for name, lines in self._lines.items()
            for place, line in enumerate(lines)
            if b'"kind":"verdict"' in line
        )

    def feed(self, number: int) -> None:
        """Append everything of its worker up to the given verdict."""
        _, name, place = self.verdicts[number]
        with (self._target / name).open("ab") as file:
            file.write(b"".join(self._lines[name][self._fed[name] : place + 1]))
        self._fed[name] = place + 1


def measure(count: int, directory: Path) -> tuple[float, list[float], float]:
    """Processor seconds of the first update, of each of the last ones, and of rendering everything once."""
    plan, campaign = Plan(cases_of(count)), load_campaign(CONFIG)
    done = Clockwork(directory / "done", plan.cases, some_troubles(plan.cases))
    done.write()
    run = Clockwork(directory / "run", plan.cases, {})
    feeder = Feeder(done.directory, run.directory)
    for number in range(count - MEASURED):
        feeder.feed(number)
    pages = RunPages(directory / "run", plan, campaign, run.directory)
    started = time.process_time()
    pages.update()
    first = time.process_time() - started
    costs = []
    for number in range(count - MEASURED, count):
        feeder.feed(number)
        started = time.process_time()
        pages.update()
        costs.append(time.process_time() - started)
    started = time.process_time()
    pages.flush()
    return first, costs, time.process_time() - started


def main() -> None:
    """Measure the campaign sizes named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rendering", description=__doc__)
    parser.add_argument("cases", type=int, nargs="*", default=[157], help="sizes of campaigns (default: 157)")
    for count in parser.parse_args().cases:
        with tempfile.TemporaryDirectory() as directory:
            first, costs, whole = measure(count, Path(directory))
            size = (Path(directory) / "run" / "index.html").stat().st_size
        print(
            f"{count} cases: {1000 * sum(costs) / len(costs):.1f} ms per case (median {1000 * median(costs):.1f}, "
            f"highest {1000 * max(costs):.1f}), all pages once {1000 * whole:.0f} ms, "
            f"first {1000 * first:.0f} ms, page {size / 1e6:.2f} MB"
        )


if __name__ == "__main__":
    main()
