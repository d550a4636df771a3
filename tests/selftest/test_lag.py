"""Time of a simulated cluster stands still while its event loop is held up, and only then."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelrt.clock import Clock, ScaledClock
from pytest_modelrt.lag import LaggedClock, LagMeter, clock_of

SPEED = 60.0
HELD_UP = 1.0
"""Real seconds; much more than the meter forgives."""


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[asyncio.AbstractEventLoop]:
    """A running event loop with a meter, as the simulator has it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    beating = asyncio.run_coroutine_threadsafe(started(LagMeter(tmp_path)), loop).result(30)
    yield loop
    asyncio.run_coroutine_threadsafe(stopped(beating), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def started(meter: LagMeter) -> asyncio.Task[None]:
    return asyncio.create_task(meter.run())


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def hold_up(loop: asyncio.AbstractEventLoop, busy: Callable[[], None]) -> None:
    """Run ``busy`` in the loop's thread and come back when it is done."""

    async def work() -> None:
        busy()

    asyncio.run_coroutine_threadsafe(work(), loop).result(30)


def elapsed(clock: Clock, what: Callable[[], None]) -> float:
    """Cluster seconds that ``what`` took."""
    began = clock.monotonic()
    what()
    return clock.monotonic() - began


def test_time_of_a_loop_held_up_does_not_count(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    clock = clock_of(SPEED, tmp_path)
    assert isinstance(clock, LaggedClock)
    real = ScaledClock(SPEED)
    began = real.monotonic()
    counted = elapsed(clock, lambda: hold_up(loop, lambda: time.sleep(HELD_UP)))
    assert counted <= real.monotonic() - began - (HELD_UP - 0.2) * SPEED


def test_a_wait_lasts_longer_when_the_loop_is_held_up(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    clock, real, held = clock_of(SPEED, tmp_path), ScaledClock(SPEED), threading.Event()

    def hold() -> None:
        held.set()
        time.sleep(HELD_UP)

    busy = threading.Thread(target=hold_up, args=(loop, hold))
    began = real.monotonic()
    busy.start()
    assert held.wait(30)
    assert elapsed(clock, lambda: clock.sleep(0.5 * SPEED)) >= 0.5 * SPEED
    assert real.monotonic() - began >= (HELD_UP + 0.2) * SPEED
    busy.join()


def test_an_event_ends_a_wait(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    clock, event = clock_of(SPEED, tmp_path), threading.Event()
    assert not clock.wait(event, 1)
    event.set()
    assert clock.wait(event, 1e6)


def test_a_cluster_that_says_nothing_has_a_plain_clock(tmp_path: Path) -> None:
    assert isinstance(clock_of(SPEED, tmp_path), ScaledClock)
    assert isinstance(clock_of(1.0, None), ScaledClock)


def test_when_the_simulator_is_gone_time_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LagMeter(tmp_path)
    clock = clock_of(SPEED, tmp_path)
    began, now = clock.monotonic(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 100)
    assert 69 * SPEED <= clock.monotonic() - began <= 71 * SPEED
