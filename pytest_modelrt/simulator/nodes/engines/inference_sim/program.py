"""The program of containers with the inference simulator's image."""

from __future__ import annotations

import asyncio

from pytest_modelrt.simulator.nodes.engines.inference_sim.app import Server
from pytest_modelrt.simulator.nodes.engines.inference_sim.engine import Engine
from pytest_modelrt.simulator.nodes.engines.inference_sim.settings import SettingsError, is_later, parse
from pytest_modelrt.simulator.nodes.programs import ProgramContext

IMAGE = "ghcr.io/llm-d/llm-d-inference-sim"
_BINARY = "/app/llm-d-inference-sim"
_NOT_FOUND = 128


async def inference_sim(context: ProgramContext) -> int:
    """Serve until stopped; mistakes of the command line end it with exit code 0, like the real one."""
    words = list(context.argv)
    if words and not words[0].startswith("-"):
        if words[0] not in (_BINARY, _BINARY.rpartition("/")[2], f"./{_BINARY.rpartition('/')[2]}"):
            context.log(f'exec: "{words[0]}": executable file not found in $PATH')
            context.terminated_reason = "StartError"
            return _NOT_FOUND
        words = words[1:]
    try:
        settings = parse(words, later=is_later(str(context.container.get("image") or "")))
    except SettingsError as error:
        context.log(f"E0 cmd/main.go] VLLM simulator failed err={str(error)!r}")
        return 0
    engine = Engine(settings, context.clock, context.rng)
    names = (("x-inference-pod", "POD_NAME"), ("x-inference-namespace", "POD_NAMESPACE"))
    headers = {header: context.env[name] for header, name in names if name in context.env}
    context.log(f'I0 simulator.go] "Server starting" port={settings.port} model="{settings.model}"')
    try:
        await context.serve(settings.port, Server(engine, context.log, headers).app())
    except OSError as error:
        context.log(f"E0 cmd/main.go] VLLM simulator failed err={str(error)!r}")
        return 0
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        context.log('I0 simulator.go] "Shutdown signal received, shutting down server gracefully"')
    return 0
