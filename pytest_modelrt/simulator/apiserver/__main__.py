"""Run the API server alone: ``python -m pytest_modelrt.simulator.apiserver --directory DIR``."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

import yaml

from pytest_modelrt.simulator.apiserver.server import ApiServer, ServerConfig


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pytest_modelrt.simulator.apiserver", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="receives kubeconfig and ca.crt")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--speed", type=float, default=1.0, help="cluster seconds per second")
    parser.add_argument("--watch-window", type=int, default=1000, help="events kept per kind")
    parser.add_argument("--crd", type=Path, action="append", default=[], help="file with definitions to start with")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    crds = [item for path in options.crd for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item]
    extension = {"speed": options.speed, "directory": str(options.directory)}
    config = ServerConfig(
        options.directory,
        options.speed,
        crds,
        port=options.port,
        watch_window=options.watch_window,
        kubeconfig_extension=extension,
    )
    server = ApiServer(config)
    await server.start()
    path = server.write_kubeconfig(options.directory / "kubeconfig")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"export KUBECONFIG={path}", flush=True)
    await stopped.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(_serve(_parse()))
