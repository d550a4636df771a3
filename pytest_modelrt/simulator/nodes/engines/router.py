"""The router: finds engines through the API and hands requests on to them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.nodes.engines.arguments import options_of
from pytest_modelrt.simulator.nodes.engines.overrides import overrides
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.nodes.surroundings import MODEL_LABEL
from pytest_modelrt.simulator.resources import PODS
from pytest_modelrt.simulator.scenario import RouterRule

_RETRY_SECONDS = 10.0
_CHECK_SECONDS = 5.0
_FASTEST_CHECK = 0.3
"""Real seconds between health checks of new workers at the least."""
_HOP_HEADERS = {"host", "connection", "transfer-encoding", "content-length", "keep-alive", "upgrade"}


@dataclass(slots=True)
class _Workers:
    """Engines the router knows."""

    found: dict[str, str] = field(default_factory=dict)
    """Pod name -> address."""
    healthy: dict[str, str] = field(default_factory=dict)
    """Pod name -> base URL."""
    turn: itertools.count[int] = field(default_factory=itertools.count)

    def next(self) -> str | None:
        """Base URL of a healthy worker, in turn."""
        urls = [self.healthy[name] for name in sorted(self.healthy)]
        return urls[next(self.turn) % len(urls)] if urls else None


async def router(context: ProgramContext) -> int:
    """``python3 -m sglang_router.launch_router``."""
    options = options_of(context.argv)
    rule = context.scenario.router(context.labels.get(MODEL_LABEL, ""))
    port = int(options.get("port") or 30000)
    workers = _Workers()
    context.log(f"Starting router on 0.0.0.0:{port} | policy: cache_aware | mode: Regular")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=5)) as session:
        await context.serve(port, _Face(context, workers, session).app())
        async with asyncio.TaskGroup() as group:
            if "service-discovery" in options:
                group.create_task(_discover(context, _selector(context.argv), workers, rule))
            group.create_task(_check(context, workers, session, int(options.get("service-discovery-port") or 80)))
    return 0


def _selector(argv: Sequence[str]) -> str:
    """The words after ``--selector`` up to the next option."""
    words = list(argv)
    if "--selector" not in words:
        return ""
    tail = words[words.index("--selector") + 1 :]
    return ",".join(itertools.takewhile(lambda word: not word.startswith("--"), tail))


async def _discover(context: ProgramContext, selector: str, workers: _Workers, rule: RouterRule) -> None:
    namespace = options_of(context.argv).get("service-discovery-namespace") or context.namespace
    context.log(f"Starting K8s service discovery | selector: '{selector}' | namespace: {namespace}")
    client = await _allowed_client(context, namespace, selector, rule)
    pods = Informer(client, PODS, namespace=namespace, label_selector=selector)
    pods.on_change(lambda kind, pod, _old: _pod_changed(context, workers, kind, pod))
    if rule.no_workers:
        context.scenario.signals.note(context.labels.get(MODEL_LABEL, ""), "router without workers")
        await asyncio.Event().wait()
    await pods.run()


async def _allowed_client(context: ProgramContext, namespace: str, selector: str, rule: RouterRule) -> ApiClient:
    """A client that may list pods; until then the refusal is logged again and again, as the real one does."""
    user = f"system:serviceaccount:{context.namespace}:{context.pod['spec'].get('serviceAccountName') or 'default'}"
    refusal = (
        f'pods is forbidden: User "{user}" cannot list resource "pods" in API group "" in the namespace "{namespace}"'
    )
    while True:
        try:
            client = await context.api()
            if rule.forbidden:
                context.scenario.signals.note(context.labels.get(MODEL_LABEL, ""), "router forbidden")
                raise ApiStatusError(403, "Forbidden", refusal)
            await client.list(PODS, namespace, label_selector=selector)
            return client
        except ApiStatusError as error:
            what = f'"{error.reason}" ({error.code})'
            context.log(f"ERROR failed to perform initial object list: ApiError: {error.message}: {what}")
        except (aiohttp.ClientError, TimeoutError) as error:
            context.log(f"ERROR failed to perform initial object list: {error}")
        await context.clock.asleep(_RETRY_SECONDS)


def _pod_changed(context: ProgramContext, workers: _Workers, kind: str, pod: Object) -> None:
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    alive = kind != "DELETED" and "deletionTimestamp" not in pod["metadata"] and status.get("phase") == "Running"
    if alive and status.get("podIP"):
        workers.found[name] = status["podIP"]
    elif workers.found.pop(name, None) and workers.healthy.pop(name, None):
        context.log(f"Removing pod: {name} | type: Regular")


async def _check(context: ProgramContext, workers: _Workers, session: aiohttp.ClientSession, port: int) -> None:
    """Ask new workers for their health until it is good."""
    pause = max(_CHECK_SECONDS, _FASTEST_CHECK * context.clock.speed)
    while True:
        for name, address in list(workers.found.items()):
            if name not in workers.healthy:
                url = await _healthy_url(context, session, address, port)
                if url and name in workers.found:
                    workers.healthy[name] = url
                    context.log(f"Adding pod: {name} | type: Regular | url: http://{address}:{port}")
        await context.clock.asleep(pause)


async def _healthy_url(context: ProgramContext, session: aiohttp.ClientSession, address: str, port: int) -> str | None:
    try:
        url = context.url(address, port)
        async with session.get(f"{url}/health") as response:
            return url if response.status == 200 else None
    except (aiohttp.ClientError, OSError):
        return None


class _Face:
    """The router's HTTP side."""

    def __init__(self, context: ProgramContext, workers: _Workers, session: aiohttp.ClientSession) -> None:
        self._context = context
        self._workers = workers
        self._session = session

    def app(self) -> web.Application:
        """The application."""
        context = self._context
        rules = context.scenario.http(context.labels.get(MODEL_LABEL, ""), component="router")
        app = web.Application(client_max_size=256 * 2**20, middlewares=[overrides(rules, context.clock)])
        app.router.add_get("/liveness", self.alive)
        app.router.add_get("/health", self.alive)
        app.router.add_get("/readiness", self.ready)
        app.router.add_route("*", "/{path:.*}", self.forward)
        return app

    async def alive(self, _request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def ready(self, _request: web.Request) -> web.Response:
        healthy = len(self._workers.healthy)
        if not healthy:
            return web.json_response({"status": "not ready", "reason": "insufficient healthy workers"}, status=503)
        return web.json_response({"status": "ready", "healthy_workers": healthy})

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Hand a request to a worker, streaming both ways."""
        base = self._workers.next()
        if base is None:
            return web.Response(status=503, text="No available workers")
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_HEADERS}
        body = await request.read()
        try:
            async with self._session.request(
                request.method, base + request.path_qs, headers=headers, data=body or None
            ) as answer:
                kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_HEADERS}
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"Failed to send request to worker: {error}")
