"""``modelrt sim``: a simulated cluster of its own, for kubectl and any other client."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from pytest_modelrt import launcher
from pytest_modelrt.cli import peaks
from pytest_modelrt.clock import Deadline, ScaledClock

_LOOK_EVERY = 0.05


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``sim`` with its actions."""
    parser = subparsers.add_parser("sim", help="a simulated cluster", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="start it, unless it runs, and print its KUBECONFIG")
    up.add_argument("--speed", type=_positive, default=60.0, help="cluster seconds per second (default: 60)")
    up.add_argument("--scenario", help="a scenario of the config tree, or a file (default: a sunny day)")
    up.add_argument("--seed", type=int, help="seed of all durations")
    up.add_argument("--nodes", type=int, help="count of GPU nodes (default: 14)")
    up.add_argument("--config", type=Path, help="config tree (default: ./config, if there is one)")
    up.add_argument("--profile", help="release of the platform to behave like (default: v0.1.5)")
    up.add_argument("--apiserver", type=Path, metavar="KUBECONFIG", help="use this API server instead of an own one")
    up.add_argument(
        "--without", default="", help="workload controllers that API server has, by plural, comma separated"
    )
    up.set_defaults(handler=_up)
    status = actions.add_parser("status", help="nodes, GPUs held, speed, scenario")
    status.set_defaults(handler=_status)
    down = actions.add_parser("down", help="stop it and remove its directory")
    down.set_defaults(handler=_down)
    _register_tree(actions)
    for action in (up, status, down, peaks.register(actions)):
        action.add_argument("--directory", type=Path, default=default_directory(), help="where it keeps its files")


def _register_tree(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    tree = actions.add_parser("tree", help="write a copy of the config tree with the mistakes of a scenario")
    tree.add_argument("scenario", help="a scenario of the config tree, or a file")
    tree.add_argument("target", type=Path, help="folder to write; must not exist")
    tree.add_argument("--config", type=Path, default=Path("config"), help="config tree to copy (default: ./config)")
    tree.set_defaults(handler=_tree)


def _tree(arguments: argparse.Namespace) -> int:
    from pytest_modelrt.plan.problems import ConfigError
    from pytest_modelrt.simulator.scenario import Scenario
    from pytest_modelrt.simulator.scenario.tree import write_tree

    try:
        edits = Scenario.load(arguments.scenario, directory=arguments.config / "scenarios").file.files
        if not edits:
            print(f"{arguments.scenario} asks for no mistake in the config tree", file=sys.stderr)
            return 1
        changed = write_tree(arguments.config, arguments.target, edits)
    except (ConfigError, OSError) as error:
        print(f"modelrt sim tree: {error}", file=sys.stderr)
        return 1
    for path in changed:
        print(f"# changed: {path}")
    print(f"pytest --modelrt-config {arguments.target} --modelrt-scenario {arguments.scenario}")
    return 0


def default_directory() -> Path:
    """The simulator's place in the user's state directory."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "modelrt" / "sim"


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be more than 0, not {text}")
    return value


def _up(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    known = _running(directory)
    if known is None:
        config = arguments.config or (Path("config") if Path("config").is_dir() else None)
        options = launcher.SimulatorOptions(
            speed=arguments.speed,
            seed=arguments.seed,
            config_dir=config.resolve() if config else None,
            scenario=_scenario(arguments.scenario),
            nodes=arguments.nodes,
            profile=arguments.profile,
            apiserver=arguments.apiserver.resolve() if arguments.apiserver else None,
            without=tuple(filter(None, arguments.without.split(","))),
        )
        try:
            launcher.start_detached(directory, options)
        except launcher.SimulatorError as error:
            print(f"modelrt sim up: {error}", file=sys.stderr)
            return 1
    else:
        print(f"# runs already (process {known['pid']}, speed {known['speed']:g})", file=sys.stderr)
    print(f"export KUBECONFIG={(directory / launcher.KUBECONFIG_NAME).resolve()}")
    return 0


def _scenario(name: str | None) -> str | None:
    """A file by its full path, since the simulator runs elsewhere; a plain name as it is."""
    return str(Path(name).resolve()) if name and Path(name).suffix in (".yaml", ".yml") else name


def _status(arguments: argparse.Namespace) -> int:
    known = _running(arguments.directory)
    if known is None:
        print(f"no simulated cluster runs in {arguments.directory}")
        return 1
    kubeconfig = arguments.directory / launcher.KUBECONFIG_NAME
    held, total, ready = asyncio.run(_usage(kubeconfig))
    print(f"process     {known['pid']}")
    print(f"kubeconfig  {kubeconfig.resolve()}")
    print(f"platform    {known['profile']}, scenario {known['scenario'] or 'none (a sunny day)'}, seed {known['seed']}")
    print(f"speed       {known['speed']:g} cluster seconds per second")
    print(f"nodes       {ready} of {known['nodes']} ready")
    print(f"GPUs        {held} of {total} held")
    return 0


async def _usage(kubeconfig: Path) -> tuple[int, int, int]:
    """GPUs held by pods on nodes, GPUs there are, and ready nodes."""
    from pytest_modelrt.simulator.client import ApiClient
    from pytest_modelrt.simulator.fleet import GPU_RESOURCE
    from pytest_modelrt.simulator.resources import NODES, PODS

    async with ApiClient.from_kubeconfig(kubeconfig, "modelrt-sim-status") as client:
        nodes = (await client.list(NODES))["items"]
        pods = (await client.list(PODS))["items"]
    total = sum(int(node["status"]["allocatable"].get(GPU_RESOURCE, 0)) for node in nodes)
    ready = sum(_is_ready(node) for node in nodes)
    placed = [pod for pod in pods if pod["spec"].get("nodeName") and pod["status"]["phase"] in ("Pending", "Running")]
    held = sum(_gpus(container, GPU_RESOURCE) for pod in placed for container in pod["spec"]["containers"])
    return held, total, ready


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _gpus(container: dict[str, Any], resource: str) -> int:
    return int(((container.get("resources") or {}).get("limits") or {}).get(resource, 0))


def _down(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    known = _running(directory)
    if known is not None:
        deadline = Deadline(ScaledClock(), launcher.STOP_SECONDS)
        os.kill(known["pid"], signal.SIGTERM)
        while _running(directory) is not None and not deadline.expired:
            deadline.clock.sleep(_LOOK_EVERY)
        if _running(directory) is not None:
            os.kill(known["pid"], signal.SIGKILL)
    if (directory / "simulator.json").is_file():
        shutil.rmtree(directory)
    print("stopped" if known is not None else f"no simulated cluster ran in {directory}")
    return 0


def _running(directory: Path) -> dict[str, Any] | None:
    """What the simulator of ``directory`` said about itself, if it runs: it holds a lock as long as it lives."""
    from pytest_modelrt.simulator.residence import is_occupied

    if not is_occupied(directory):
        return None
    try:
        described: dict[str, Any] = json.loads((directory / "simulator.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return described
