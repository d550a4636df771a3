"""Times when a process of the platform is down: it ends with an error and comes back by its pod's restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.scenario import AgentRule, ControllerRule, Scenario
from pytest_modelrt.simulator.scenario.opening import left

_LAST_BREATH = 1.0
"""Cluster seconds a process lives that starts while it must be down."""


def pause(times: Sequence[ControllerRule], scenario: Scenario, clock: Clock) -> float:
    """Cluster seconds for which the controller goes on ignoring a kind; 0: it does not."""
    age = scenario.opening.age(clock)
    longest = max((left(rule.at, rule.lasts, age) for rule in times), default=0.0)
    if longest:
        scenario.signals.note("", f"controller ignores {', '.join(times[0].ignores)}")
    return longest


async def run_outside(
    outages: Sequence[ControllerRule | AgentRule], work: Coroutine[Any, Any, None], context: ProgramContext
) -> int:
    """Run ``work`` until the next outage; the exit code of the process."""
    clock, opening = context.clock, context.scenario.opening
    age = opening.age(clock)
    now = next((rule for rule in outages if left(rule.at, rule.lasts, age) and age > 0), None)
    if now is not None:
        work.close()
        await clock.asleep(_LAST_BREATH)
        context.log(now.log)
        return 1
    ahead = min((rule for rule in outages if rule.at >= age), key=lambda rule: rule.at, default=None)
    if ahead is None:
        await work
        return 0
    working = asyncio.ensure_future(work)
    coming = asyncio.ensure_future(opening.until(clock, ahead.at))
    try:
        await asyncio.wait({working, coming}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return 0
    finally:
        for task in (working, coming):
            task.cancel()
        await asyncio.gather(working, coming, return_exceptions=True)
    context.scenario.signals.note("", f"{context.container['name']} down")
    context.log(ahead.log)
    return 1
