"""The simulator's process: options, life and end."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.plan.problems import ConfigError
from pytest_modelrt.simulator.controllers.profile import PROFILES
from pytest_modelrt.simulator.controllers.schemas import PLATFORM_FILES
from pytest_modelrt.simulator.fleet import Fleet
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.residence import OccupiedError, Residence
from pytest_modelrt.simulator.resources import LEADER_WORKER_SETS
from pytest_modelrt.simulator.scenario import Scenario

log = logging.getLogger("pytest_modelrt.simulator")

_USAGE = 4
_GARBAGE_THRESHOLD = 50_000
"""Objects between collections: the simulator makes many short-lived trees and few cycles."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    directory: Path
    speed: float
    seed: int | None
    config: Path | None
    scenario: str | None
    fleet: Fleet
    profile: str | None
    parent_fd: int | None
    parent_pid: int | None
    ready_fd: int | None
    apiserver: Path | None
    without: frozenset[str]
    platforms: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a simulated cluster until told to stop; returns the exit code."""
    options = parse(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    for name in ("aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)
    try:
        residence = Residence(options.directory)
    except OccupiedError as error:
        log.error("%s", error)
        return _USAGE
    try:
        asyncio.run(_serve(options, _scenario(options), residence))
    except ConfigError as error:
        log.error("%s", error)
        return _USAGE
    finally:
        residence.leave()
    return 0


def _scenario(options: Options) -> Scenario:
    """What will happen; the built-in plan serves where there is no config tree."""
    config = options.config or (Path("config") if Path("config").is_dir() else options.directory)
    return Scenario.load(options.scenario, Hub.load(config), options.seed, config / "scenarios")


def parse(argv: Sequence[str] | None) -> Options:
    """The command line as options; exits with a usage message when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m pytest_modelrt.simulator", description=main.__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where kubeconfig, log and ledger go")
    parser.add_argument("--speed", type=float, default=60.0, help="cluster seconds per second")
    parser.add_argument("--seed", type=int, help="seed of all durations")
    parser.add_argument("--config", type=Path, help="config tree (default: ./config, if there is one)")
    parser.add_argument("--scenario", help="name of a scenario of the config tree, or a file")
    parser.add_argument("--nodes", type=int, default=Fleet().nodes)
    parser.add_argument("--gpus-per-node", type=int, default=Fleet().gpus_per_node)
    parser.add_argument("--profile", choices=sorted(PROFILES), help="release of the platform to behave like")
    parser.add_argument("--parent-fd", type=int, help="pipe whose end of file ends the simulator")
    parser.add_argument("--parent-pid", type=int, help="process whose end ends the simulator")
    parser.add_argument("--ready-fd", type=int, help="pipe to write one byte to when ready")
    parser.add_argument(
        "--apiserver", type=Path, metavar="KUBECONFIG", help="use this API server instead of an own one"
    )
    parser.add_argument("--without", default="", help="controllers to leave out, by plural, comma separated")
    parser.add_argument(
        "--platforms",
        default=",".join(PLATFORM_FILES),
        help="what is installed, comma separated (default: %(default)s)",
    )
    words = parser.parse_args(argv)
    if words.speed <= 0:
        parser.error(f"--speed must be more than 0, not {words.speed:g}")
    if words.nodes < 1 or words.gpus_per_node < 0:
        parser.error("--nodes must be at least 1, --gpus-per-node at least 0")
    platforms = tuple(filter(None, words.platforms.split(",")))
    unknown = [name for name in platforms if name not in PLATFORM_FILES]
    if unknown or not platforms:
        parser.error(f"--platforms takes {', '.join(PLATFORM_FILES)}, comma separated, not {words.platforms!r}")
    return Options(
        directory=words.directory,
        speed=words.speed,
        seed=words.seed,
        config=words.config,
        scenario=words.scenario,
        fleet=Fleet(nodes=words.nodes, gpus_per_node=words.gpus_per_node),
        profile=words.profile,
        parent_fd=words.parent_fd,
        parent_pid=words.parent_pid,
        ready_fd=words.ready_fd,
        apiserver=words.apiserver,
        without=frozenset(filter(None, words.without.split(","))),
        platforms=platforms,
    )


async def _serve(options: Options, scenario: Scenario, residence: Residence) -> None:
    from pytest_modelrt.simulator.town import Town

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.parent_fd is not None:
        loop.add_reader(options.parent_fd, _parent_spoke, loop, options.parent_fd, stop)
    if options.parent_pid is not None:
        _look_after(loop, options.parent_pid, stop)
    profile = PROFILES[options.profile or scenario.platform]
    residence.describe(
        {
            "speed": options.speed,
            "seed": scenario.seed,
            "scenario": options.scenario,
            "nodes": options.fleet.nodes,
            "gpusPerNode": options.fleet.gpus_per_node,
            "profile": profile.name,
            "platforms": list(options.platforms),
        }
    )
    scenario.signals.write_to(residence.directory)
    platforms = options.platforms if scenario.file.installed else ()
    town = Town(residence, ScaledClock(options.speed), scenario, options.fleet, profile, platforms)
    without = options.without if "ome" in platforms else options.without | {LEADER_WORKER_SETS.plural}
    running = asyncio.create_task(town.run(options.apiserver, without, stop), name="town")
    ready = asyncio.create_task(town.ready.wait(), name="ready")
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    if town.ready.is_set():
        gc.freeze()
        log.info("ready: %s", residence.kubeconfig)
        if options.ready_fd is not None:
            os.write(options.ready_fd, b"\n")
            os.close(options.ready_fd)
    ready.cancel()
    await running


def _parent_spoke(loop: asyncio.AbstractEventLoop, descriptor: int, stop: asyncio.Event) -> None:
    """The parent never writes: readable means its end of the pipe is closed."""
    loop.remove_reader(descriptor)
    log.info("the parent process is gone")
    stop.set()


def _look_after(loop: asyncio.AbstractEventLoop, pid: int, stop: asyncio.Event) -> None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        stop.set()
        return
    loop.call_later(0.5, _look_after, loop, pid, stop)
