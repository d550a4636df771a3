"""What the plugin says in the terminal: the header, and at the end what is not in pytest's own lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_modelrt.cluster.model import LEASE, Ref
from pytest_modelrt.reporting.terminal import change_lines, outcome_table
from pytest_modelrt.session.ci import tell_github
from pytest_modelrt.session.run import Run
from pytest_modelrt.session.target import Target, sweep_command

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_modelrt.session.controller import Controller
    from pytest_modelrt.session.dispatch import Dispatch

MOST_NAMES = 20
"""Cases named in one line; the pages name all."""
MOST_OBJECTS = 6
"""Objects named in one line; of more only their kinds are."""


class Terminal:
    """Header and summary of an active run."""

    def __init__(self, run: Run, target: Target, controller: Controller, dispatch: Dispatch) -> None:
        self._run = run
        self._target = target
        self._controller = controller
        self._dispatch = dispatch

    def pytest_report_header(self) -> list[str]:
        """Cluster, limits, run."""
        campaign = self._run.campaign
        tiers = ", ".join(f"{tier.name} {tier.limit}" for tier in campaign.tiers)
        return [
            f"modelrt: cluster {self._target.text}",
            f"modelrt: limits {tiers} cases at once, {campaign.gpu_budget} GPUs; repair {campaign.repair}",
            f"modelrt: run {self._run.run_id}, pages in {self._run.reports}",
        ]

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Outcomes with causes, and what cleanup could not remove."""
        controller = self._controller
        if controller.info is None:
            return
        write = terminalreporter.write_line
        lines = outcome_table(controller.ledger.verdicts.values(), quiet=terminalreporter.verbosity < 0)
        if lines:
            terminalreporter.section("modelrt")
        for line in [*lines, *change_lines(controller.trends)]:
            write(line)
        for line in controller.maas.load_lines:
            write(line)
        missing = controller.ledger.never_started
        swept = controller.swept
        if missing:
            more = f" and {len(missing) - MOST_NAMES} more" if len(missing) > MOST_NAMES else ""
            write(f"never started ({len(missing)}): {', '.join(missing[:MOST_NAMES])}{more}")
        for line in self._dispatch.lines():
            write(f"modelrt: {line}")
        for case_id, why in self._dispatch.leaks.items():
            write(f"modelrt: LEAKED by the crash of {case_id}: {why}", red=True)
        if controller.page_trouble:
            write(f"modelrt: pages are not up to date: {controller.page_trouble}")
        if controller.sweep_trouble:
            write(f"modelrt: not swept: {controller.sweep_trouble}; {sweep_command(self._run)}")
        elif swept is not None and (left := [ref for ref in swept.deleted if ref.resource != LEASE]):
            write(f"modelrt: swept at the end: {_names(left)}")
        for leftover in swept.leftovers if swept is not None else ():
            write(f"modelrt: LEFT BEHIND: {leftover.ref}: {leftover.why}; look: {leftover.command}", red=True)
        try:
            verdicts = list(controller.ledger.verdicts.values())
            tell_github(self._run, controller.info, verdicts, controller.trends, write)
        except OSError as error:
            write(f"modelrt: no step summary: {error}")


def _names(refs: Sequence[Ref]) -> str:
    """``Namespace llm, Gateway istio-system/maas-gateway``; of many ``14 objects (5 Namespace, 1 Gateway, …)``."""
    if len(refs) <= MOST_OBJECTS:
        return ", ".join(map(str, refs))
    kinds = Counter(ref.resource.kind for ref in refs)
    return f"{len(refs)} objects ({', '.join(f'{count} {kind}' for kind, count in kinds.most_common())})"
