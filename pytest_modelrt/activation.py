"""Brings the plugin to life: reads the configuration and registers the parts this process needs."""

from __future__ import annotations

import os

import pytest

from pytest_modelrt import fixtures, markers
from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.options import resolve
from pytest_modelrt.redaction import register_secrets_in
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.worker import WorkerHooks
from pytest_modelrt.session.breaker import BreakerGate
from pytest_modelrt.session.collection import Collection
from pytest_modelrt.session.companions import Companions
from pytest_modelrt.session.controller import Controller
from pytest_modelrt.session.dispatch import Dispatch
from pytest_modelrt.session.dry_run import DryRun, keep_to_one_process
from pytest_modelrt.session.interrupt import ControllerInterrupts, Interrupts
from pytest_modelrt.session.maas import MaasFindings
from pytest_modelrt.session.masking import Masking
from pytest_modelrt.session.outcomes import Outcomes
from pytest_modelrt.session.run import RUN, is_worker, open_run
from pytest_modelrt.session.shards import Shard
from pytest_modelrt.session.target import describe, on_simulator
from pytest_modelrt.session.terminal import Terminal
from pytest_modelrt.stacks.protocol import Stack, StackRequest

WORKERS_PER_PROCESSOR = 5
"""On a simulated cluster, where everything shares this machine; a worker mostly waits."""


def activate(config: pytest.Config) -> None:
    """Register everything on ``config``.

    Raises:
        pytest.UsageError: options or config tree cannot be used.
    """
    register_secrets_in(dict(os.environ))
    run = open_run(config, resolve(config))
    config.stash[RUN] = run
    markers.register(config, run.plan)
    register = config.pluginmanager.register
    register(Masking(), "modelrt-masking")
    register(fixtures, "modelrt-fixtures")
    register(Collection(run), "modelrt-collection")
    if run.settings.shard is not None:
        register(Shard(run, *run.settings.shard), "modelrt-shard")
    if config.getoption("collectonly"):
        return
    if run.settings.dry_run:
        keep_to_one_process(config)
        register(DryRun(config, run), "modelrt-dry-run")
        return
    register(DefaultStack(), "modelrt-default-stack")
    register(Outcomes(), "modelrt-outcomes")
    register(MaasFindings(), "modelrt-maas")
    if is_worker(config):
        register(Interrupts(run), "modelrt-interrupts")
        register(WorkerHooks(), "modelrt-worker")
        register(Companions(config), "modelrt-companions")
        return
    register(Companions(config), "modelrt-companions")
    target = describe(run)
    controller = Controller(config, run, target)
    register(controller, "modelrt-controller")
    register(ControllerInterrupts(run, controller.abandon), "modelrt-interrupts")
    dispatch = Dispatch(config, run, controller)
    register(dispatch, "modelrt-dispatch")
    breaker = BreakerGate(config, run, ScaledClock(target.speed), dispatch.withdraw)
    dispatch.gate, dispatch.paused = breaker, lambda: breaker.is_open
    register(breaker, "modelrt-breaker")
    register(Terminal(run, target, controller, dispatch), "modelrt-terminal")
    if config.pluginmanager.hasplugin("xdist"):
        from pytest_modelrt.scheduling.xdist import controller_plugin

        register(controller_plugin(), "modelrt-xdist")


def useful_workers(config: pytest.Config) -> int:
    """As many as the limits let run at once; on a simulated cluster no more than this machine can feed.

    Raises:
        pytest.UsageError: options or config tree cannot be used.
    """
    run = open_run(config, resolve(config))
    most = Limits.of(run.campaign).most_at_once
    return min(most, WORKERS_PER_PROCESSOR * (os.cpu_count() or 1)) if on_simulator(run) else most


class DefaultStack:
    """OME, unless another plugin makes the stack."""

    @pytest.hookimpl(trylast=True)
    def pytest_modelrt_make_stack(self, request: StackRequest) -> Stack:
        """The OME stack."""
        from pytest_modelrt.stacks.ome import OmeStack

        return OmeStack(request)
