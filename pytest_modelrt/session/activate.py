"""Brings the plugin to life: reads the configuration and registers the parts this process needs."""

from __future__ import annotations

import pytest

from pytest_modelrt import fixtures, markers
from pytest_modelrt.options import resolve
from pytest_modelrt.session.collection import Collection
from pytest_modelrt.session.controller import Controller
from pytest_modelrt.session.dry_run import DryRun, keep_to_one_process
from pytest_modelrt.session.interrupt import Interrupts
from pytest_modelrt.session.outcomes import Outcomes
from pytest_modelrt.session.run import RUN, is_worker, open_run
from pytest_modelrt.session.terminal import Terminal


def activate(config: pytest.Config) -> None:
    """Register everything on ``config``.

    Raises:
        pytest.UsageError: options or config tree cannot be used.
    """
    run = open_run(config, resolve(config))
    config.stash[RUN] = run
    markers.register(config, run.plan)
    register = config.pluginmanager.register
    register(fixtures, "modelrt-fixtures")
    register(Collection(run), "modelrt-collection")
    if config.getoption("collectonly"):
        return
    if run.settings.dry_run:
        keep_to_one_process(config)
        register(DryRun(config, run), "modelrt-dry-run")
        return
    register(Outcomes(config, run), "modelrt-outcomes")
    register(Interrupts(run), "modelrt-interrupts")
    if not is_worker(config):
        register(Controller(config, run), "modelrt-controller")
        register(Terminal(config, run), "modelrt-terminal")
