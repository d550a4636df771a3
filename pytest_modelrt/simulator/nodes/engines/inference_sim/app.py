"""The HTTP surface of the inference simulator, with the manners of its router (fasthttp)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from pytest_modelrt.simulator.nodes.engines.inference_sim import metrics, replies
from pytest_modelrt.simulator.nodes.engines.inference_sim.engine import Engine
from pytest_modelrt.simulator.nodes.engines.inference_sim.failures import injected, returned
from pytest_modelrt.simulator.nodes.engines.inference_sim.requests import Completion, Refused, json_reply, parse

_BODY_LIMIT = 4 * 1024 * 1024

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Endpoints of one engine. ``headers`` go with every successful completion."""

    def __init__(self, engine: Engine, log: Callable[[str], None], headers: Mapping[str, str]) -> None:
        self._engine = engine
        self._log = log
        self._headers = dict(headers)
        later = engine.settings.later
        self._routes: dict[str, tuple[str, Endpoint]] = {
            "/health": ("GET", self._health),
            "/health/ready" if later else "/ready": ("GET", self._ready if later else self._health),
            "/v1/models": ("GET", self._models),
            "/metrics": ("GET", self._metrics),
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/completions": ("POST", self._text),
            "/v1/load_lora_adapter": ("POST", self._load_lora),
            "/v1/unload_lora_adapter": ("POST", self._unload_lora),
            "/tokenize": ("POST", self._tokenize),
        }

    def app(self) -> web.Application:
        """The application; the body limit is the real one's."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        return app

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        known = self._routes.get(request.path)
        if known is None:
            return self._elsewhere(request)
        method, endpoint = known
        allow = {"Allow": f"{method}, OPTIONS"}
        if request.method == "OPTIONS":
            return web.Response(headers=allow)
        if request.method != method:
            return web.Response(status=405, text="Method Not Allowed", headers=allow)
        try:
            return await endpoint(request)
        except Refused as error:
            self._log(f'"{request.method} {request.path}" {error.status} {error}')
            return error.response()
        except web.HTTPRequestEntityTooLarge:
            closed = web.Response()
            closed.force_close()
            return closed

    def _elsewhere(self, request: web.Request) -> web.Response:
        """A slash too many or another letter case is redirected, anything else is not found."""
        path = request.path.rstrip("/").lower()
        if path in self._routes:
            location = f"http://{request.host}{path}"
            return web.Response(status=301 if request.method == "GET" else 307, headers={"Location": location})
        return web.Response(status=404, text="Not Found")

    async def _health(self, _request: web.Request) -> web.Response:
        if self._engine.settings.later:
            return web.Response()
        return json_reply({})

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self._engine.ready else 503)

    async def _models(self, _request: web.Request) -> web.Response:
        settings = self._engine.settings
        extra = {"max_model_len": settings.max_model_len} if settings.later else {}
        entries = [(name, None) for name in settings.served_names]
        entries += [(name, settings.name) for name in self._engine.loras]  # type: ignore[misc]
        now = int(time.time())
        data = [
            {"id": name, "object": "model", "created": now, "owned_by": "vllm", "root": name, "parent": base, **extra}
            for name, base in entries
        ]
        return json_reply({"object": "list", "data": data})

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text=metrics.page(self._engine), content_type="text/plain")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._complete(request, chat=True)

    async def _text(self, request: web.Request) -> web.StreamResponse:
        return await self._complete(request, chat=False)

    async def _complete(self, http: web.Request, *, chat: bool) -> web.StreamResponse:
        engine = self._engine
        injected(engine)
        request = parse(await http.read(), engine.settings, engine.loras, chat=chat)
        if engine.settings.later:
            returned(http.headers.get("X-Return-Error"))
        async with engine.admitted(request):
            return await (self._stream(http, request) if request.stream else self._whole(request))

    async def _whole(self, request: Completion) -> web.Response:
        engine = self._engine
        reply = engine.say(request)
        rest = max(0, reply.completion_tokens - 1)
        await engine.clock.asleep(engine.first_delay(request) + sum(engine.next_delay() for _ in range(rest)))
        engine.finished(request, reply)
        return json_reply(replies.whole(engine, request, reply), headers=self._headers)

    async def _stream(self, http: web.Request, request: Completion) -> web.StreamResponse:
        engine = self._engine
        reply = engine.say(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **self._headers})
        await response.prepare(http)
        async for frame in replies.frames(engine, request, reply):
            await response.write(frame)
        engine.finished(request, reply)
        await response.write_eof()
        return response

    async def _load_lora(self, request: web.Request) -> web.Response:
        self._engine.loras.append(await _lora_name(request))
        return web.Response()

    async def _unload_lora(self, request: web.Request) -> web.Response:
        name = await _lora_name(request)
        self._engine.loras[:] = [held for held in self._engine.loras if held != name]
        return web.Response()

    async def _tokenize(self, _request: web.Request) -> web.Response:
        """Needs the tokenizer of a model that exists on the hub; names like ``model-a`` do not."""
        text = f"Failed to tokenize, failed to find tokenizer for model {self._engine.settings.model}"
        return web.Response(status=500, text=text)


async def _lora_name(request: web.Request) -> str:
    try:
        return str((await request.json())["lora_name"])
    except (ValueError, TypeError, KeyError):
        raise web.HTTPBadRequest(text="failed to read and parse load/unload lora request body") from None
