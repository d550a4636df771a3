"""A small asynchronous Kubernetes client: what controllers and nodes need, over HTTPS like anybody else.

One ``ApiClient`` holds one connection pool; ``as_component`` gives views of it with another user agent or token.
Informers are in ``informer``, the keyed work queue in ``workqueue``.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp
import yaml

from pytest_modelrt.simulator.resources import Resource

Object = dict[str, Any]
"""A Kubernetes object as decoded JSON."""

PatchKind = Literal["merge", "json", "strategic", "apply"]

_PATCH_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ApiStatusError(Exception):
    """The API server refused: HTTP code, machine-readable reason, message for people."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    @property
    def not_found(self) -> bool:
        """The object does not exist."""
        return self.code == 404

    @property
    def conflict(self) -> bool:
        """The object changed meanwhile, or exists already."""
        return self.code == 409

    @property
    def expired(self) -> bool:
        """The resource version is too old to watch from: list again."""
        return self.code == 410


class ApiClient:
    """Typed verbs on untyped objects. Raises ``ApiStatusError`` and ``aiohttp.ClientError``."""

    def __init__(
        self,
        server: str,
        ssl_context: ssl.SSLContext | None = None,
        token: str | None = None,
        user_agent: str = "modelrt-simulator",
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self.user_agent = user_agent
        self._ssl = ssl_context
        self._token = token
        self._session = session
        self._owner: ApiClient | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path, user_agent: str = "modelrt-simulator") -> ApiClient:
        """A client for the current context of a kubeconfig file (CA, client certificate, token)."""
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        return cls(cluster["server"], _ssl_context(path.parent, cluster, user), user.get("token"), user_agent)

    def as_component(self, user_agent: str, token: str | None = None) -> ApiClient:
        """The same connections under another name, and with another token if one is given."""
        view = ApiClient(self.server, self._ssl, token or self._token, user_agent)
        view._owner = self._owner or self
        return view

    async def close(self) -> None:
        """Close the connections; views made by ``as_component`` close with their origin."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, subresource: str | None = None
    ) -> Object:
        """One object."""
        return await self.request("GET", resource.path(namespace, name, subresource))

    async def find(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, or ``None`` where there is none."""
        try:
            return await self.get(resource, name, namespace)
        except ApiStatusError as error:
            if error.not_found:
                return None
            raise

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Object:
        """The list object; its items carry ``apiVersion`` and ``kind``."""
        query = _selectors(label_selector, field_selector)
        result = await self.request("GET", resource.path(namespace), query=query)
        for item in result.get("items") or []:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return result

    async def create(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        """Create ``body`` in ``namespace``, or in the one it names."""
        where = namespace or body.get("metadata", {}).get("namespace")
        typed = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self.request("POST", resource.path(where), body=typed)

    async def replace(self, resource: Resource, body: Object, subresource: str | None = None) -> Object:
        """Put ``body`` in place of the object it names; its resourceVersion guards against lost updates."""
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        typed = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self.request("PUT", path, body=typed)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        subresource: str | None = None,
    ) -> Object:
        """Patch one object; ``apply`` is a forced server-side apply with this component as field manager."""
        query = {"fieldManager": self.user_agent, "force": "true"} if kind == "apply" else None
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, query=query, body=body, content_type=_PATCH_TYPES[kind])

    async def patch_status(
        self, resource: Resource, name: str, status: Object, namespace: str | None = None, *, kind: PatchKind = "merge"
    ) -> Object:
        """Patch the status subresource with ``{"status": status}``."""
        return await self.patch(resource, name, {"status": status}, namespace, kind=kind, subresource="status")

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
    ) -> Object:
        """Ask for one object's deletion; the answer is the object, if it still exists, or a Status."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        return await self.request("DELETE", resource.path(namespace, name), body=options)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """Events ``(ADDED|MODIFIED|DELETED|BOOKMARK, object)`` until the server ends the stream.

        An ``ERROR`` event is raised as ``ApiStatusError``.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", **_selectors(label_selector, field_selector)}
        if resource_version:
            query["resourceVersion"] = resource_version
        url = f"{self.server}{resource.path(namespace)}?{urlencode(query)}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with self._pool().get(url, headers=self._headers(), ssl=self._ssl or True, timeout=timeout) as response:
            if response.status >= 400:
                raise _status_error(response.status, await response.read())
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiStatusError(status.get("code", 500), status.get("reason", ""), status.get("message", ""))
                yield event["type"], event["object"]

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request; returns the decoded answer."""
        headers = self._headers()
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, separators=(",", ":")).encode()
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        async with self._pool().request(method, url, data=data, headers=headers, ssl=self._ssl or True) as response:
            payload = await response.read()
            if response.status >= 400:
                raise _status_error(response.status, payload)
            decoded: Object = json.loads(payload) if payload else {}
            return decoded

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": self.user_agent, "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _pool(self) -> aiohttp.ClientSession:
        if self._owner is not None:
            return self._owner._pool()
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=60), auto_decompress=True
            )
        return self._session


def _named(entries: list[Object], name: str) -> Object:
    return next(entry for entry in entries if entry["name"] == name)


def _ssl_context(base: Path, cluster: Object, user: Object) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if "certificate-authority-data" in cluster:
        context.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    elif "certificate-authority" in cluster:
        context.load_verify_locations(base / cluster["certificate-authority"])
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "client-certificate" in user:
        context.load_cert_chain(base / user["client-certificate"], base / user["client-key"])
    elif "client-certificate-data" in user:
        _load_inline_certificate(context, user)
    return context


def _load_inline_certificate(context: ssl.SSLContext, user: Object) -> None:
    """``ssl`` reads key material from files only."""
    with tempfile.TemporaryDirectory(prefix="modelrt-") as directory:
        combined = Path(directory) / "client.pem"
        combined.touch(mode=0o600)
        pem = base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
        combined.write_bytes(pem)
        context.load_cert_chain(combined)


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in query.items() if value}


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length, each without its newline (``readline`` of aiohttp refuses long ones)."""
    pending = b""
    async for chunk in stream.iter_any():
        *complete, pending = (pending + chunk).split(b"\n")
        for line in complete:
            if line.strip():
                yield line


def _status_error(code: int, payload: bytes) -> ApiStatusError:
    try:
        status = json.loads(payload)
        return ApiStatusError(status.get("code", code), status.get("reason", ""), status.get("message", ""))
    except (ValueError, AttributeError):
        return ApiStatusError(code, "", payload.decode("utf-8", "replace")[:500])
