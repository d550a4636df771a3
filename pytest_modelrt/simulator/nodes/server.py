"""The kubelets' HTTPS port, one for the whole fleet: logs, port-forward, proxy. The API server calls it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from pytest_modelrt.simulator.nodes.container import Container
from pytest_modelrt.simulator.nodes.kubelet import Kubelet
from pytest_modelrt.simulator.nodes.logs import LogOptions
from pytest_modelrt.simulator.nodes.network import Network, container_port
from pytest_modelrt.simulator.nodes.pod import PodWorker
from pytest_modelrt.simulator.nodes.port_forward import (
    CHANNEL_PROTOCOL,
    STREAM_PROTOCOL,
    TUNNEL_PROTOCOL,
    Connect,
    ForwardError,
    WebSocketPipe,
    forward_channels,
    forward_spdy,
)
from pytest_modelrt.simulator.nodes.takeover import take_over

_HOP_HEADERS = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "host",
    "content-length",
    "authorization",
    "proxy-authorization",
    "x-forwarded-for",
}
_TRUE = ("true", "1", "True")


class KubeletServer:
    """Handlers of the kubelet API."""

    def __init__(self, kubelet: Kubelet, network: Network, session: aiohttp.ClientSession) -> None:
        self._kubelet = kubelet
        self._network = network
        self._session = session

    def app(self) -> web.Application:
        """The application to serve over TLS."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self.logs)
        for path in ("/portForward/{namespace}/{pod}", "/portForward/{namespace}/{pod}/{uid}"):
            app.router.add_get(path, self.port_forward)
            app.router.add_post(path, self.port_forward)
        app.router.add_route("*", "/podProxy/{namespace}/{pod}/{port}/{path:.*}", self.proxy)
        app.router.add_route("*", "/{verb:exec|attach|run}/{rest:.*}", _not_implemented)
        return app

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """Current or previous log of a container."""
        worker = self._worker(request)
        container = worker.container(request.match_info["container"])
        if container is None:
            raise web.HTTPNotFound(
                text=f"container {request.match_info['container']} is not valid for pod {worker.name}"
            )
        previous = request.query.get("previous") in _TRUE
        output = container.previous if previous else container.output
        if output is None:
            raise web.HTTPBadRequest(text=_no_log(worker, container, previous=previous))
        options = _log_options(request)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for chunk in output.read(options):
            await response.write(chunk)
        return response

    async def port_forward(self, request: web.Request) -> web.StreamResponse:
        """Port-forward, whichever way the client speaks it."""
        connect = self._connector(self._worker(request))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _port_forward_websocket(request, connect)
        if not request.headers.get("Upgrade", "").upper().startswith("SPDY/3.1"):
            raise web.HTTPBadRequest(text="Upgrade request required")
        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": STREAM_PROTOCOL}
        connection = take_over(request, headers)
        try:
            await forward_spdy(connection, connect)
        finally:
            connection.close()
        return web.Response()

    async def proxy(self, request: web.Request) -> web.StreamResponse:
        """An HTTP request handed to a port of the pod, streamed both ways."""
        worker = self._worker(request)
        port = container_port(worker.pod, request.match_info["port"])
        local = None if port is None else self._network.local_port(worker.namespace, worker.name, port)
        if local is None:
            text = f"error trying to reach service: dial tcp {worker.address}:{request.match_info['port']}: "
            raise web.HTTPServiceUnavailable(text=text + "connect: connection refused")
        url = f"http://127.0.0.1:{local}/{request.match_info['path']}"
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_HEADERS}
        body = request.content if request.can_read_body else None
        try:
            async with self._session.request(
                request.method, url, params=request.query, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return await _copy(request, answer)
        except aiohttp.ClientError as error:
            raise web.HTTPBadGateway(text=f"error trying to reach service: {error}") from None

    def _worker(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self._kubelet.find(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text=f'pods "{name}" not found')
        return worker

    def _connector(self, worker: PodWorker) -> Connect:
        async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            local = self._network.local_port(worker.namespace, worker.name, port)
            refused = f"failed to connect to localhost:{port} inside namespace of pod: connection refused"
            rule = self._kubelet.port_forward_rule(worker.pod)
            if rule is not None and rule.error:
                raise ForwardError(f"error forwarding port {port} to pod {worker.uid}, uid : {rule.error}")
            what = f"error forwarding port {port} to pod {worker.uid}, uid : {refused}"
            if local is None:
                raise ForwardError(what)
            try:
                if rule is not None and rule.drop:
                    return await _dead_end()
                return await asyncio.open_connection("127.0.0.1", local)
            except OSError:
                raise ForwardError(what) from None

        return connect


async def _dead_end() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose other side hangs up on the first word."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    connection = await asyncio.open_connection(*server.sockets[0].getsockname())
    server.close()
    return connection


async def _port_forward_websocket(request: web.Request, connect: Connect) -> web.StreamResponse:
    socket = web.WebSocketResponse(protocols=(TUNNEL_PROTOCOL, CHANNEL_PROTOCOL), max_msg_size=0, compress=False)
    ports = [int(port) for value in request.query.getall("port", []) for port in value.split(",") if port]
    if not ports and TUNNEL_PROTOCOL not in request.headers.get("Sec-WebSocket-Protocol", ""):
        raise web.HTTPBadRequest(text='query parameter "port" is required')
    await socket.prepare(request)
    if socket.ws_protocol == TUNNEL_PROTOCOL:
        await forward_spdy(WebSocketPipe(socket), connect)
        await socket.close()
    else:
        await forward_channels(socket, ports, connect)
    return socket


async def _copy(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_HEADERS}
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    return response


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _not_implemented(request: web.Request) -> web.Response:
    raise web.HTTPNotImplemented(text=f"{request.match_info['verb']} is not offered by this simulated kubelet")


def _no_log(worker: PodWorker, container: Container, *, previous: bool) -> str:
    if previous:
        return f'previous terminated container "{container.name}" in pod "{worker.name}" not found'
    reason = container.state.get("waiting", {}).get("reason", "ContainerCreating")
    return f'container "{container.name}" in pod "{worker.name}" is waiting to start: {reason}'


def _log_options(request: web.Request) -> LogOptions:
    query = request.query
    try:
        return LogOptions(
            follow=query.get("follow") in _TRUE,
            tail_lines=int(query["tailLines"]) if "tailLines" in query else None,
            since_seconds=float(query["sinceSeconds"]) if "sinceSeconds" in query else None,
            since_time=_moment(query["sinceTime"]) if "sinceTime" in query else None,
            timestamps=query.get("timestamps") in _TRUE,
            limit_bytes=int(query["limitBytes"]) if "limitBytes" in query else None,
        )
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"invalid log options: {error}") from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
