"""Says while a run goes on what runs and what waits for what: in the journal, and now and then on a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.clock import Clock, ScaledClock
from pytest_modelrt.scheduling.status import SchedulerState, status_line
from pytest_modelrt.session.notes import note

EVERY = 60.0
"""Real seconds between two lines on a terminal: pytest's own output stays readable."""


class StatusLine:
    """Follows the scheduler."""

    def __init__(self, config: pytest.Config, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or ScaledClock()
        self._last = ""
        self._shown = self._clock.monotonic()

    def __call__(self, state: SchedulerState) -> None:
        """The scheduler started something, or something ended."""
        text = status_line(state)
        if text == self._last:
            return
        self._last = text
        held = {tier.name: tier.used for tier in state.tiers}
        waiting = {tier.name: tier.waiting for tier in state.tiers if tier.waiting}
        said = {"line": text, "gpus_held": state.gpus_held, "running": held, "waiting": waiting}
        note(self._config, "schedule", said)
        if text and self._on_terminal and self._clock.monotonic() - self._shown >= EVERY:
            self._shown = self._clock.monotonic()
            self.say(f"{state.gpus_held} of {state.gpu_budget} GPUs; {text}")

    @property
    def _on_terminal(self) -> bool:
        """A log of a CI job gets no line a minute."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        return reporter is not None and reporter.isatty

    def say(self, text: str) -> None:
        """A line for people, unless the run is quiet."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and reporter.verbosity >= 0:
            reporter.ensure_newline()
            reporter.write_line(f"modelrt: {text}")
