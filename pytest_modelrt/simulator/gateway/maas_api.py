"""maas-api: catalogue of models, tier look-up, tokens (facts: maas-kind.md, 3.3)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.resources import CONFIG_MAPS, LLM_SERVICES, NAMESPACES, SERVICE_ACCOUNTS

TIER_MAP = "tier-to-group-mapping"
AUDIENCE = "maas-default-gateway-sa"
_INSTANCE = "maas-default-gateway"
_PORT = 8080
_SHORTEST, _DEFAULT = 600, 4 * 3600
_EXPIRATION = re.compile(r"(\d+)([hms]?)")
_UNITS = {"h": 3600, "m": 60, "s": 1, "": 1}
_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


class NoTierError(Exception):
    """No tier has any of the groups."""


async def maas_api(context: ProgramContext) -> int:
    """Serve until stopped."""
    server = Server(context, await context.api())
    await context.serve(_PORT, server.app())
    context.log(f"maas-api listens on :{_PORT}")
    await asyncio.Event().wait()
    return 0


class Server:
    """The HTTP surface; asks the API server with the rights of its own service account."""

    def __init__(self, context: ProgramContext, api: ApiClient) -> None:
        self._api = api
        self._namespace = context.namespace
        self._rule = context.scenario.file.gateway
        self._log = context.log
        self._lookups = 0

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[_errors])
        app.router.add_get("/health", self._health)
        app.router.add_get("/models", self._inference_services)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/tiers/lookup", self._lookup)
        app.router.add_post("/v1/tokens", self._mint)
        app.router.add_delete("/v1/tokens", self._revoke)
        return app

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})

    async def _models(self, _request: web.Request) -> web.Response:
        listing = await self._api.list(LLM_SERVICES)
        data = [_model(service) for service in listing.get("items") or []]
        return web.json_response({"object": "list", "data": data})

    async def _inference_services(self, _request: web.Request) -> web.Response:
        """KServe's InferenceServices: this platform serves none."""
        return web.json_response({"object": "list", "data": []})

    async def _lookup(self, request: web.Request) -> web.Response:
        self._lookups += 1
        rule = self._rule
        if rule.tier_lookup_status and (rule.tier_lookup_times is None or self._lookups <= rule.tier_lookup_times):
            self._log(f"tier lookup failed with {rule.tier_lookup_status}")
            text = "failed to lookup tier: simulated failure"
            return _error(rule.tier_lookup_status, "internal_error", text)
        body = await _json(request)
        groups = body.get("groups") if isinstance(body, dict) else None
        if not isinstance(groups, list) or not groups:
            text = "Key: 'LookupRequest.Groups' Error:Field validation for 'Groups' failed on the 'required' tag"
            return _error(400, "bad_request", text)
        try:
            return web.json_response({"tier": await self._tier([str(group) for group in groups])})
        except NoTierError as error:
            return _error(404, "not_found", str(error))

    async def _tier(self, groups: Sequence[str]) -> str:
        """The highest tier that has one of the groups; of equals the first in the map.

        Raises:
            NoTierError: there is none.
        """
        found = await self._api.find(CONFIG_MAPS, TIER_MAP, self._namespace)
        tiers: list[dict[str, Any]] = yaml.safe_load(((found or {}).get("data") or {}).get("tiers") or "") or []
        for tier in sorted(tiers, key=lambda entry: -int(entry.get("level", 0))):
            own = f"system:serviceaccounts:{_INSTANCE}-tier-{tier['name']}"
            if {*(tier.get("groups") or ()), own} & set(groups):
                return str(tier["name"])
        raise NoTierError(f"tier not found for groups [{' '.join(groups)}]")

    async def _mint(self, request: web.Request) -> web.Response:
        user = await self._reviewed(request)
        body = await _json(request)
        seconds = _seconds(body.get("expiration") if isinstance(body, dict) else None)
        if not isinstance(body, dict) or seconds is None:
            return _error(400, "bad_request", "expiration must be a duration such as 4h or 30m, or seconds")
        if seconds < _SHORTEST:
            return _error(400, "bad_request", "token expiration must be at least 10 minutes")
        try:
            namespace = f"{_INSTANCE}-tier-{await self._tier(user['groups'])}"
        except NoTierError as error:
            return _error(404, "not_found", str(error))
        name = account_name(user["username"])
        await self._ensure(NAMESPACES, {"metadata": {"name": namespace}}, None)
        await self._ensure(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, namespace)
        spec = {"audiences": [AUDIENCE], "expirationSeconds": seconds}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._api.request("POST", SERVICE_ACCOUNTS.path(namespace, name, "token"), body=asked)
        ends = datetime.fromisoformat(answer["status"]["expirationTimestamp"].replace("Z", "+00:00"))
        return web.json_response(
            {
                "token": answer["status"]["token"],
                "expiration": f"{seconds // 3600}h{seconds % 3600 // 60}m{seconds % 60}s",
                "expiresAt": int(ends.timestamp()),
            },
            status=201,
        )

    async def _revoke(self, request: web.Request) -> web.Response:
        """A new account in place of the old one: all its tokens die."""
        user = await self._reviewed(request)
        try:
            namespace = f"{_INSTANCE}-tier-{await self._tier(user['groups'])}"
        except NoTierError as error:
            return _error(404, "not_found", str(error))
        name = account_name(user["username"])
        try:
            await self._api.delete(SERVICE_ACCOUNTS, name, namespace)
        except ApiStatusError as error:
            if not error.not_found:
                raise
        await self._ensure(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, namespace)
        return web.Response(status=204)

    async def _reviewed(self, request: web.Request) -> Object:
        """Who asks, by the API server's own audience."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise _refused("Authorization header required" if not scheme else "invalid Authorization header")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = (await self._api.request("POST", _TOKEN_REVIEWS, body=body)).get("status") or {}
        if not status.get("authenticated"):
            raise _refused("invalid token")
        user: Object = status["user"]
        return user

    async def _ensure(self, resource: Any, body: Object, namespace: str | None) -> None:
        try:
            await self._api.create(resource, body, namespace)
        except ApiStatusError as error:
            if error.reason != "AlreadyExists":
                raise


def account_name(username: str) -> str:
    """Name of the service account that stands for a user."""
    clean = re.sub(r"[^a-z0-9-]+", "-", username.lower()).strip("-")[:50].strip("-")
    return f"{clean}-{hashlib.sha1(username.encode(), usedforsecurity=False).hexdigest()[:8]}"


def _model(service: Object) -> dict[str, Any]:
    metadata, status = service["metadata"], service.get("status") or {}
    conditions = status.get("conditions") or []
    created = datetime.fromisoformat(metadata["creationTimestamp"].replace("Z", "+00:00"))
    ready = (
        "deletionTimestamp" not in metadata
        and status.get("observedGeneration") == metadata.get("generation")
        and bool(conditions)
        and all(entry["status"] == "True" for entry in conditions)
    )
    return {
        "id": service["spec"]["model"].get("name") or metadata["name"],
        "object": "model",
        "created": int(created.timestamp()),
        "owned_by": metadata["namespace"],
        **({"url": status["url"]} if status.get("url") else {}),
        "ready": ready,
    }


def _seconds(text: Any) -> int | None:
    """``4h``, ``30m``, ``1h30m``, or seconds; None when it is neither."""
    if text is None or text == "":
        return _DEFAULT
    parts = _EXPIRATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


async def _json(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"error": kind, "message": message}, status=status)


def _refused(text: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=json.dumps({"error": text}), content_type="application/json")


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """What the API server refuses is an internal error here; unknown paths are plain text."""
    try:
        response: web.StreamResponse = await handler(request)
    except (ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
        return _error(500, "internal_error", str(error))
    except web.HTTPNotFound:
        return web.Response(status=404, text="404 page not found")
    return response
