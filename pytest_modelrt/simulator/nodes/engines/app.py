"""The HTTP face of an engine."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pytest_modelrt.simulator.nodes.engines.arguments import Role
from pytest_modelrt.simulator.nodes.engines.errors import EngineError, unknown_model
from pytest_modelrt.simulator.nodes.engines.generation import Generation
from pytest_modelrt.simulator.nodes.engines.overrides import overrides
from pytest_modelrt.simulator.nodes.engines.scoring import Scoring
from pytest_modelrt.simulator.nodes.engines.state import EngineState

_HEALTH = ("/health", "/health_generate", "/metrics")


def build_app(state: EngineState) -> web.Application:
    """The application of one engine."""
    special = overrides(state.http_rules, state.clock, state.die, state.note)
    app = web.Application(client_max_size=256 * 2**20, middlewares=[_access_log(state), special, _errors])
    generation, scoring, pages = Generation(state), Scoring(state), _Pages(state)
    app.router.add_get("/health", pages.health)
    app.router.add_get("/health_generate", pages.health)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/v1/models", pages.models)
    app.router.add_get("/v1/models/{name:.+}", pages.model)
    app.router.add_get("/get_model_info", pages.model_info)
    app.router.add_get("/get_server_info", pages.server_info)
    app.router.add_route("*", "/generate", generation.generate)
    app.router.add_post("/v1/chat/completions", generation.chat)
    app.router.add_post("/v1/completions", generation.complete)
    app.router.add_post("/v1/embeddings", scoring.embeddings)
    for path in ("/v1/rerank", "/rerank"):
        app.router.add_post(path, scoring.rerank)
    for path in ("/classify", "/v1/classify", "/encode"):
        app.router.add_post(path, scoring.classify)
    return app


class _Pages:
    """Everything that is not inference."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    async def health(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self._state.ready else 503)

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._card()]})

    async def model(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != self._state.served_name:
            raise unknown_model(request.match_info["name"])
        return web.json_response(self._card())

    async def model_info(self, _request: web.Request) -> web.Response:
        path = self._state.arguments.model_path
        info = {"model_path": path, "tokenizer_path": path, "is_generation": self._state.role is Role.GENERATE}
        return web.json_response(info)

    async def server_info(self, _request: web.Request) -> web.Response:
        arguments = self._state.arguments
        info = {"model_path": arguments.model_path, "tp_size": arguments.tensor_parallel, "status": "ready"}
        return web.json_response(info | {"mem_fraction_static": arguments.mem_fraction})

    async def metrics(self, _request: web.Request) -> web.Response:
        label = f'{{model_name="{self._state.served_name}"}}'
        served = sum(count for path, count in self._state.requests.items() if path not in _HEALTH)
        lines = []
        for name, kind, value in (
            ("sglang:num_running_reqs", "gauge", 0),
            ("sglang:num_queue_reqs", "gauge", 0),
            ("sglang:prompt_tokens_total", "counter", self._state.prompt_tokens),
            ("sglang:generation_tokens_total", "counter", self._state.generated_tokens),
            ("sglang:num_requests_total", "counter", served),
        ):
            lines += [f"# TYPE {name} {kind}", f"{name}{label} {value}"]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    def _card(self) -> dict[str, object]:
        name = self._state.served_name
        return {
            "id": name,
            "object": "model",
            "created": self._state.created,
            "owned_by": "sglang",
            "root": name,
            "parent": None,
            "max_model_len": self._state.context_length,
        }


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals in the engine's shape; unknown paths and methods as its framework gives them."""
    try:
        return await handler(request)
    except EngineError as error:
        return error.response()
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        return web.json_response({"detail": error.reason}, status=error.status)


def _access_log(state: EngineState) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        status = response.status
        if status != 200 or request.path not in _HEALTH or not state.requests[request.path]:
            phrase = HTTPStatus(status).phrase
            state.output.write(f'INFO:     10.244.0.1:0 - "{request.method} {request.path} HTTP/1.1" {status} {phrase}')
        if status == 200:
            state.requests[request.path] += 1
        return response

    return middleware
