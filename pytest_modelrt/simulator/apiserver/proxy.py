"""Requests that a node answers: logs, port-forward, and the proxies to pods and services."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import aiohttp
from aiohttp import web
from yarl import URL

from pytest_modelrt.simulator.apiserver.errors import StatusError, bad_request, invalid, method_not_allowed, not_found
from pytest_modelrt.simulator.apiserver.errors import forbidden_field as forbidden_option
from pytest_modelrt.simulator.apiserver.paths import Target
from pytest_modelrt.simulator.apiserver.store import Store
from pytest_modelrt.simulator.apiserver.tunnel import Tunnel
from pytest_modelrt.simulator.apiserver.values import JSON, dig

_PODS, _NODES, _SERVICES, _ENDPOINTS = ("", "pods"), ("", "nodes"), ("", "services"), ("", "endpoints")
_SUBRESOURCES = frozenset({"log", "portforward", "proxy", "exec", "attach"})
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host",
     "authorization", "content-length"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kubelet:
    """Where a node's kubelet listens."""

    host: str
    port: int

    def url(self, path: str) -> str:
        """An URL on it."""
        return f"https://{self.host}:{self.port}{path}"


class KubeletProxy:
    """Passes requests on to the node a pod is bound to."""

    def __init__(self, store: Store, tls: ssl.SSLContext) -> None:
        self._store = store
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections to the nodes."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def serves(self, target: Target) -> bool:
        """Whether a node, not the API server, answers requests on ``target``."""
        return target.resource.storage in (_PODS, _SERVICES) and target.subresource in _SUBRESOURCES

    async def handle(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Answer a request; raises StatusError."""
        if target.resource.storage == _SERVICES:
            return await self._service_proxy(request, target)
        if target.subresource == "proxy":
            name, port = _split_name(target.name)
            pod = self._pod(target, name)
            return await self._pod_proxy(request, target, pod, port or _first_port(pod))
        pod = self._pod(target, target.name)
        if target.subresource == "log":
            return await self._log(request, target, pod)
        if target.subresource == "portforward":
            return await self._port_forward(request, target, pod)
        text = f"pods/{target.subresource} is not supported by this simulated cluster: its containers run no processes"
        raise StatusError(501, "NotImplemented", text)

    def _pod(self, target: Target, name: str) -> JSON:
        found = self._store.get(_PODS, target.namespace, name)
        if found is None:
            raise not_found(target.resource, name)
        return found.object

    def _kubelet(self, pod: JSON) -> Kubelet | None:
        node_name = dig(pod, "spec", "nodeName")
        if not node_name:
            return None
        node = self._store.get(_NODES, "", node_name)
        if node is None:
            raise StatusError(500, "InternalError", f'nodes "{node_name}" not found')
        addresses = {item.get("type"): item.get("address") for item in dig(node.object, "status", "addresses") or []}
        host = addresses.get("Hostname") or addresses.get("InternalIP") or node_name
        port = dig(node.object, "status", "daemonEndpoints", "kubeletEndpoint", "Port") or 10250
        return Kubelet(str(host), int(port))

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._session

    async def _log(self, request: web.BaseRequest, target: Target, pod: JSON) -> web.StreamResponse:
        query = dict(request.query)
        if query.get("sinceSeconds") and query.get("sinceTime"):
            cause = forbidden_option("sinceSeconds", "at most one of `sinceTime` or `sinceSeconds` may be specified")
            raise invalid("PodLogOptions", target.name, [cause])
        container = _log_container(pod, query.pop("container", ""))
        kubelet = self._kubelet(pod)
        if kubelet is None:
            return web.Response(text="", content_type="text/plain")
        waiting = _waiting_reason(pod, container)
        if waiting and not _ran_before(pod, container):
            raise bad_request(f'container "{container}" in pod "{target.name}" is waiting to start: {waiting}')
        path = f"/containerLogs/{target.namespace}/{target.name}/{container}"
        url = kubelet.url(path) + ("?" + urlencode(query) if query else "")
        return await self._forward(request, "GET", url, {}, None, refusals=True)

    async def _forward(
        self,
        request: web.BaseRequest,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Any,
        *,
        refusals: bool = False,
    ) -> web.StreamResponse:
        """Stream a node's answer to the client; with ``refusals`` the node's own 400 becomes a Status."""
        try:
            upstream = await self._client().request(
                method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            text = f"error trying to reach service: {error}"
            raise StatusError(503, "ServiceUnavailable", text) from None
        async with upstream:
            if refusals and upstream.status == 400:
                raise bad_request(await upstream.text())
            kept = [(key, value) for key, value in upstream.headers.items() if key.lower() not in _HOP_BY_HOP]
            response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            response.headers.extend(kept)
            if upstream.content_length is not None:
                response.content_length = upstream.content_length
            else:
                response.enable_chunked_encoding()
            await response.prepare(request)
            async for chunk in _chunks(upstream.content):
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _port_forward(self, request: web.BaseRequest, target: Target, pod: JSON) -> web.StreamResponse:
        kubelet = self._kubelet(pod)
        if kubelet is None:
            raise bad_request(f"pod {target.name} does not have a host assigned")
        if not request.headers.get("Upgrade"):
            raise bad_request("Upgrade request required")
        path = f"/portForward/{target.namespace}/{target.name}"
        if "ports" in request.query:  # the kubelet's name for it is another one
            path += "?" + urlencode({"port": ",".join(request.query.getall("ports"))})
        return await Tunnel(request, kubelet.host, kubelet.port, self._tls).run(path)

    async def _pod_proxy(self, request: web.BaseRequest, target: Target, pod: JSON, port: str) -> web.StreamResponse:
        kubelet = self._kubelet(pod)
        if kubelet is None:
            raise bad_request("address not allowed")
        rest = quote(unquote(target.rest), safe="/:@!$&'()*+,;=~-._")
        path = f"/podProxy/{target.namespace}/{pod['metadata']['name']}/{port}/{rest}"
        if request.query_string:
            path += "?" + request.rel_url.raw_query_string
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
        if request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        body = request.content if request.can_read_body else None
        return await self._forward(request, request.method, kubelet.url(path), headers, body)

    async def _service_proxy(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        if target.subresource != "proxy":
            raise method_not_allowed()
        name, port = _split_name(target.name)
        service = self._store.get(_SERVICES, target.namespace, name)
        if service is None:
            raise not_found(target.resource, name)
        wanted = _service_port(service.object, port)
        endpoint = self._ready_endpoint(target.namespace, name, wanted)
        if endpoint is None:
            text = f'no endpoints available for service "{target.name}"'
            raise StatusError(503, "ServiceUnavailable", text)
        pod_name, pod_port = endpoint
        found = self._store.get(_PODS, target.namespace, pod_name)
        if found is None:
            raise StatusError(503, "ServiceUnavailable", f'no endpoints available for service "{target.name}"')
        return await self._pod_proxy(request, target, found.object, str(pod_port))

    def _ready_endpoint(self, namespace: str, name: str, port_name: str | None) -> tuple[str, int] | None:
        """A ready pod behind a service, and its port."""
        endpoints = self._store.get(_ENDPOINTS, namespace, name)
        for subset in (endpoints.object.get("subsets") or []) if endpoints is not None else []:
            for port in subset.get("ports") or []:
                if port_name is not None and (port.get("name") or "") != port_name:
                    continue
                for address in subset.get("addresses") or []:
                    pod = dig(address, "targetRef", "name")
                    if pod:
                        return str(pod), int(port["port"])
        return None


async def _chunks(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await stream.readany():
        yield chunk


def _split_name(name: str) -> tuple[str, str]:
    """Name and port of ``[scheme:]name[:port]``."""
    parts = name.split(":")
    if len(parts) == 3:
        return parts[1], parts[2]
    return parts[0], parts[1] if len(parts) == 2 else ""


def _first_port(pod: JSON) -> str:
    for container in dig(pod, "spec", "containers") or []:
        for port in container.get("ports") or []:
            return str(port["containerPort"])
    return "80"


def _service_port(service: JSON, port: str) -> str | None:
    """The name of the service port meant by a number or name; None for any. Raises 503 when there is none such."""
    ports = dig(service, "spec", "ports") or []
    if not port:
        return str(ports[0].get("name") or "") if len(ports) == 1 else None
    for item in ports:
        if port in (str(item.get("port")), item.get("name")):
            return str(item.get("name") or "")
    name = service["metadata"]["name"]
    raise StatusError(503, "ServiceUnavailable", f'no service port "{port}" found for service "{name}"')


def _log_container(pod: JSON, wanted: str) -> str:
    """The container to read; raises 400 when it must be named or does not exist."""
    spec, name = pod.get("spec") or {}, pod["metadata"]["name"]
    containers = [item["name"] for item in spec.get("containers") or []]
    init = [item["name"] for item in spec.get("initContainers") or []]
    if wanted:
        if wanted not in (*containers, *init):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(containers) == 1:
        return str(containers[0])
    choices = f"choose one of: [{' '.join(containers)}]"
    if init:
        choices += f" or one of the init containers: [{' '.join(init)}]"
    raise bad_request(f"a container name must be specified for pod {name}, {choices}")


def _status_of(pod: JSON, container: str) -> JSON:
    for field in ("containerStatuses", "initContainerStatuses"):
        for item in dig(pod, "status", field) or []:
            if item.get("name") == container:
                return dict(item)
    return {}


def _waiting_reason(pod: JSON, container: str) -> str:
    waiting = dig(_status_of(pod, container), "state", "waiting")
    return str(waiting.get("reason") or "unknown") if isinstance(waiting, dict) else ""


def _ran_before(pod: JSON, container: str) -> bool:
    return bool(dig(_status_of(pod, container), "lastState", "terminated"))
