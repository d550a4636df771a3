"""The proxy of one gateway: guards, routes, rewrites and forwards requests (facts: maas-kind.md, 3.2 to 3.6)."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.gateway import routing
from pytest_modelrt.simulator.gateway.backends import Backends, NoBackendError
from pytest_modelrt.simulator.gateway.cel import EvaluationError
from pytest_modelrt.simulator.gateway.limits import Counter
from pytest_modelrt.simulator.gateway.mesh import Guard, Mesh
from pytest_modelrt.simulator.gateway.policies import LimitRule
from pytest_modelrt.simulator.gateway.usage import UsageReader
from pytest_modelrt.simulator.nodes.programs import ProgramContext

AUTH_TIMEOUT = 0.2
"""Cluster seconds; then the request is refused."""
LIMITER_TIMEOUT = 0.1
"""Cluster seconds; then the request passes."""
_SERVER = "istio-envoy"
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)


class _Answer(Exception):
    """The gateway answers itself."""

    def __init__(self, status: int, body: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.response = web.Response(status=status, headers=headers, text=body or None, content_type="text/plain")
        if not body:
            del self.response.headers["Content-Type"]


class Proxy:
    """Serves one gateway. ``table`` and ``gateway`` are set from outside as objects change."""

    def __init__(self, context: ProgramContext, mesh: Mesh, backends: Backends, session: aiohttp.ClientSession) -> None:
        self.gateway: Object = {}
        self.table = routing.Table(())
        self._clock = context.clock
        self._rule = context.scenario.file.gateway
        self._log = context.log
        self._mesh = mesh
        self._backends = backends
        self._session = session
        self._turns = itertools.count()

    def app(self) -> web.Application:
        """The application; bodies are not limited here."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """One request, from its headers to the end of its reply."""
        headers = {name.lower(): value for name, value in http.headers.items()}
        raw_path = http.raw_path.partition("?")[0]
        request = routing.Request(http.method, http.host.partition(":")[0], raw_path, headers, dict(http.query))
        try:
            charge, extra = await self._pass_guards(request)
            response = await self._forward(http, request, charge, extra)
        except _Answer as answer:
            response = answer.response
            response.headers["server"] = _SERVER
        self._log(f'"{http.method} {http.path_qs} HTTP/1.1" {response.status}')
        return response

    async def _pass_guards(self, request: routing.Request) -> tuple[Sequence[Counter], Mapping[str, str]]:
        """Authentication, then request limits, then token limits; returns the counters to charge with tokens later,
        and headers for the backend.

        Raises:
            _Answer: refused.
        """
        entry = self.table.find_policy(request)
        if entry is None:
            return (), {}
        guard = self._mesh.policies.guard(entry.route, self.gateway)
        known = {"method": request.method, "path": request.path, "host": request.host, "headers": request.headers}
        env: dict[str, Any] = {"request": {**known, "url_path": request.path}}
        extra: Mapping[str, str] = {}
        if guard.auth is not None:
            extra, env["auth"] = await self._authorize(guard, known)
        if not guard.limits and not guard.token_limits:
            return (), extra
        if not await self._reach_limiter() or self._mesh.limitador is None:
            return (), extra
        requests = _counters(guard.limits, entry.route_name, env)
        tokens = _counters(guard.token_limits, entry.route_name, env)
        if requests and not self._mesh.limitador.check_and_count(requests):
            raise _Answer(429, "Too Many Requests\n")
        if tokens:
            allowed = self._mesh.limitador.check(tokens)
            self._mesh.limitador.note(tokens, allowed=allowed)
            if not allowed:
                raise _Answer(429, "Too Many Requests\n")
        return tokens, extra

    async def _authorize(self, guard: Guard, known: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        authorino = self._mesh.authorino
        if authorino is None or guard.auth is None:
            raise _Answer(500, "Internal Server Error.\n")
        delay = authorino.delay()
        await self._clock.asleep(min(delay, AUTH_TIMEOUT))
        if delay >= AUTH_TIMEOUT:
            self._log(f"call to Authorino timed out after {AUTH_TIMEOUT:g} s; failure mode deny")
            raise _Answer(500, "Internal Server Error.\n")
        decision = await authorino.check(guard.auth, known)
        if decision.status != 200:
            raise _Answer(decision.status, headers=decision.headers)
        return decision.headers, decision.published

    async def _reach_limiter(self) -> bool:
        """Whether Limitador answers in time; what it does not answer is allowed."""
        delay = self._rule.limiter_delay
        away = self._rule.limiter_away or self._mesh.limitador is None
        if delay:
            await self._clock.asleep(min(delay, LIMITER_TIMEOUT))
        if away or delay >= LIMITER_TIMEOUT:
            self._log("call to Limitador failed; failure mode allow")
            return False
        return True

    async def _forward(
        self, http: web.Request, request: routing.Request, charge: Sequence[Counter], extra: Mapping[str, str]
    ) -> web.StreamResponse:
        entry = self.table.find(request)
        if entry is None:
            raise _Answer(404)
        redirect = _redirect(entry, http)
        if redirect is not None:
            return redirect
        try:
            base = self._backends.choose(entry, next(self._turns))
        except NoBackendError as error:
            raise _Answer(error.status, error.text) from None
        query = http.raw_path.partition("?")[2]
        url = URL(f"{base}{routing.rewritten(entry, request.path)}{'?' + query if query else ''}", encoded=True)
        began = self._clock.monotonic()
        try:
            upstream = await self._session.request(
                http.method,
                url,
                data=await http.read() or None,
                headers=_request_headers(http, entry, extra),
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            text = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
            self._log(f"{url}: {error}")
            raise _Answer(503, text) from None
        async with upstream:
            took = round((self._clock.monotonic() - began) * 1000)
            return await self._relay(http, upstream, entry, charge, took)

    async def _relay(
        self,
        http: web.Request,
        upstream: aiohttp.ClientResponse,
        entry: routing.Entry,
        charge: Sequence[Counter],
        took: int,
    ) -> web.StreamResponse:
        headers = CIMultiDict(
            (name, value) for name, value in upstream.headers.items() if name.lower() not in _HOP_BY_HOP
        )
        headers["server"] = _SERVER
        headers["x-envoy-upstream-service-time"] = str(took)
        _modify(headers, entry, "ResponseHeaderModifier", "responseHeaderModifier")
        response = web.StreamResponse(status=upstream.status, headers=headers)
        reader = UsageReader(upstream.headers.get("content-type", "")) if charge else None
        await response.prepare(http)
        pending = b""
        try:
            async for chunk in upstream.content.iter_any():
                if reader is None:
                    await response.write(chunk)
                    continue
                reader.feed(chunk)
                # the reply is charged before its end is passed on: a client that has it all cannot outrun the charge
                if pending:
                    await response.write(pending)
                pending = chunk
                if upstream.content_type == "text/event-stream" and b"[DONE]" not in chunk:
                    await response.write(pending)
                    pending = b""
        except aiohttp.ClientError as error:
            self._log(f"{upstream.url}: {error}")
            response.force_close()
            return response
        self._charge(charge, reader)
        if pending:
            await response.write(pending)
        await response.write_eof()
        return response

    def _charge(self, counters: Sequence[Counter], reader: UsageReader | None) -> None:
        tokens = reader.total_tokens() if reader is not None else None
        if tokens and self._mesh.limitador is not None:
            self._mesh.limitador.add(counters, tokens)


def _counters(rules: Sequence[LimitRule], route: str, env: Mapping[str, Any]) -> list[Counter]:
    """Counters of all limits that apply; one whose user is not known does not."""
    found: list[Counter] = []
    for rule in rules:
        try:
            found += rule.counters_for(route, env)
        except EvaluationError:
            continue
    return found


def _request_headers(http: web.Request, entry: routing.Entry, extra: Mapping[str, str]) -> CIMultiDict[str]:
    headers = CIMultiDict((name, value) for name, value in http.headers.items() if name.lower() not in _HOP_BY_HOP)
    headers["Host"] = http.host
    headers.setdefault("x-request-id", str(uuid.uuid4()))
    headers["x-forwarded-for"] = http.remote or ""
    headers["x-forwarded-proto"] = "http"
    for name, value in extra.items():
        headers[name] = value
    _modify(headers, entry, "RequestHeaderModifier", "requestHeaderModifier")
    for rule_filter in entry.rule.get("filters") or []:
        host = (rule_filter.get("urlRewrite") or {}).get("hostname")
        if host:
            headers["Host"] = host
    return headers


def _modify(headers: CIMultiDict[str], entry: routing.Entry, kind: str, field: str) -> None:
    for rule_filter in entry.rule.get("filters") or []:
        if rule_filter.get("type") != kind:
            continue
        change = rule_filter.get(field) or {}
        for name in change.get("remove") or []:
            headers.popall(name, None)
        for header in change.get("set") or []:
            headers[header["name"]] = header["value"]
        for header in change.get("add") or []:
            headers.add(header["name"], header["value"])


def _redirect(entry: routing.Entry, http: web.Request) -> web.Response | None:
    for rule_filter in entry.rule.get("filters") or []:
        change = rule_filter.get("requestRedirect")
        if rule_filter.get("type") == "RequestRedirect" and change:
            path = routing.replaced(change["path"], entry.prefix, http.path) if change.get("path") else http.path
            host = change.get("hostname") or http.host
            location = f"{change.get('scheme') or 'http'}://{host}{path}"
            return web.Response(
                status=change.get("statusCode") or 302, headers={"location": location, "server": _SERVER}
            )
    return None


async def serve_forever(context: ProgramContext, proxy: Proxy, mesh: Mesh) -> None:
    """Listen in the pod, and on this machine's port if it is free, until cancelled."""
    await context.serve(80, proxy.app())
    await context.serve(15021, _health())
    if mesh.host_port.taken:
        await asyncio.Event().wait()
    runner = web.AppRunner(proxy.app(), access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    try:
        async with mesh.host_port.listening(runner):
            context.log(f"listening on {mesh.host_port.url}")
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _health() -> web.Application:
    async def ready(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/healthz/ready", ready)
    return app
