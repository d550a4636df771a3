"""The inference simulator's HTTP surface on a port of this machine, without a cluster around it."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.simulator.nodes.engines.inference_sim.app import Server
from pytest_modelrt.simulator.nodes.engines.inference_sim.engine import Engine
from pytest_modelrt.simulator.nodes.engines.inference_sim.settings import parse

HELLO = [{"role": "user", "content": "Hello, how are you?"}]


class Running:
    """One simulator and a client for it."""

    def __init__(self, engine: Engine, client: httpx.Client) -> None:
        self.engine = engine
        self.client = client

    def chat(self, *, messages: Any = HELLO, model: str = "model-a", **fields: Any) -> httpx.Response:
        """A chat completion, whatever its status."""
        return self.client.post("/v1/chat/completions", json={"model": model, "messages": messages, **fields})

    def reply(self, **fields: Any) -> dict[str, Any]:
        """A chat completion that must succeed."""
        response = self.chat(**fields)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@contextmanager
def inference_sim(words: Sequence[str] = (), *, later: bool = False, speed: float = 1.0) -> Iterator[Running]:
    """A simulator with these words behind ``--model model-a``, in a thread of its own."""
    settings = parse(["--model", "model-a", *words], later=later)
    loop, started = asyncio.new_event_loop(), threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        engine = Engine(settings, ScaledClock(speed), random.Random(7))
        app = Server(engine, lambda _line: None, {"x-inference-pod": "pod-1"}).app()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        held.update(engine=engine, port=runner.addresses[0][1], stop=asyncio.Event())
        started.set()
        await held["stop"].wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    limits = httpx.Limits(max_connections=100)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{held['port']}", timeout=30, limits=limits, trust_env=False
        ) as client:
            yield Running(held["engine"], client)
    finally:
        loop.call_soon_threadsafe(held["stop"].set)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def sim() -> Iterator[Running]:
    """v0.5.1 without delays."""
    with inference_sim() as running:
        yield running


@pytest.fixture(scope="module")
def later() -> Iterator[Running]:
    """The later generation without delays."""
    with inference_sim(later=True) as running:
        yield running
