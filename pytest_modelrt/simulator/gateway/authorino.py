"""Authorino: who is asking, what is known about them, may they (facts: maas-kind.md, 3.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.gateway.cel import EvaluationError
from pytest_modelrt.simulator.gateway.policies import Authorization, AuthRules, Identity, Metadata, Value
from pytest_modelrt.simulator.nodes.programs import ProgramContext

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_NOT_FOUND, _REFUSED = "credential not found", "not authenticated"
_METADATA_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request."""

    status: int = 200
    """200: let it pass."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """For the client when refused, for the backend otherwise."""
    published: Mapping[str, Any] = field(default_factory=dict)
    """What other policies see below ``auth``."""


class Authorino:
    """Checks requests; remembers metadata as long as policies say, and nothing else."""

    def __init__(self, context: ProgramContext, client: ApiClient, session: aiohttp.ClientSession) -> None:
        self._clock: Clock = context.clock
        self._rule = context.scenario.file.gateway
        self._url: Callable[[str, int], str] = context.url
        self._log = context.log
        self._client = client
        self._session = session
        self._cache: dict[tuple[str, str], tuple[float, Any]] = {}
        self._calls = 0

    def delay(self) -> float:
        """How long this call takes, cluster seconds; every call asks once."""
        self._calls += 1
        slow = self._rule.auth_slow_calls
        return self._rule.auth_delay if slow is None or self._calls <= slow else 0.0

    async def check(self, rules: AuthRules, request: Mapping[str, Any]) -> Decision:
        """Walk the phases of a policy for ``request`` (``method``, ``path``, ``host``, ``headers`` in lower case)."""
        env: dict[str, Any] = {"request": request, "context": {"request": {"http": request}}}
        auth: dict[str, Any] = {}
        env["auth"] = auth
        identity, reason = await self._authenticate(rules, env)
        if identity is None:
            names = [entry for entry in rules.identities if not entry.anonymous]
            challenge = ", ".join(f'{entry.prefix} realm="{entry.name}"' for entry in names)
            self._log(f'outgoing authorization response authorized=false response=UNAUTHENTICATED reason="{reason}"')
            return Decision(401, {"www-authenticate": challenge, "x-ext-auth-reason": reason})
        auth["identity"] = identity
        auth["metadata"] = await self._gather(rules, env)
        auth["authorization"] = {}
        for condition in rules.authorization:
            if not all(predicate.holds(env) for predicate in condition.when):
                continue
            why = await self._refusal(condition, env)
            if why:
                self._log(f'outgoing authorization response authorized=false response=PERMISSION_DENIED reason="{why}"')
                return Decision(403, {"x-ext-auth-reason": why})
        headers = {name: _text(_published(body, env)) for name, body in rules.headers.items()}
        return Decision(200, headers, {name: _published(body, env) for name, body in rules.filters.items()})

    async def _authenticate(self, rules: AuthRules, env: Mapping[str, Any]) -> tuple[Object | None, str]:
        reason = _NOT_FOUND
        if not rules.identities:
            return {"anonymous": True}, ""
        for entry in rules.identities:
            if not all(predicate.holds(env) for predicate in entry.when):
                continue
            if entry.anonymous:
                return {"anonymous": True}, ""
            token = _credential(entry, env["request"]["headers"])
            if token is None:
                continue
            found = await self._review(token, entry)
            if found is not None:
                return self._extended(entry, found, env), ""
            reason = _REFUSED
        return None, reason

    async def _review(self, token: str, entry: Identity) -> Object | None:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": list(entry.audiences)},
        }
        try:
            answer = await self._client.request("POST", _TOKEN_REVIEWS, body=body)
        except (ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
            self._log(f"token review failed: {error}")
            return None
        status: Object = answer.get("status") or {}
        return status if status.get("authenticated") else None

    def _extended(self, entry: Identity, identity: Object, env: Mapping[str, Any]) -> Object:
        """The identity with the policy's own fields; an expression that finds nothing leaves its field out."""
        known = {**env, "auth": {"identity": identity}}
        given = {**_values(entry.defaults, known), **identity}
        return {**given, **_values(entry.overrides, known)}

    async def _gather(self, rules: AuthRules, env: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for source in rules.metadata:
            if all(predicate.holds(env) for predicate in source.when):
                answer = await self._ask(source, env)
                if answer is not None:
                    found[source.name] = answer
        return found

    async def _ask(self, source: Metadata, env: Mapping[str, Any]) -> Any:
        """The JSON answer of a service, whatever its HTTP status; None when there is none. Answers are cached."""
        try:
            key = (source.name, _text(source.cache_key.of(env))) if source.cache_key else None
            body = source.body.of(env) if source.body else None
        except EvaluationError as error:
            self._log(f"metadata {source.name}: {error}")
            return None
        held = self._cache.get(key) if key else None
        if held is not None and held[0] > self._clock.monotonic():
            return held[1]
        try:
            answer = json.loads(await self._fetch(source, body))
        except (OSError, TimeoutError, ValueError, aiohttp.ClientError) as error:
            self._log(f"metadata {source.name}: {error}")
            return None
        if key:
            self._cache[key] = (self._clock.monotonic() + source.ttl, answer)
        return answer

    async def _fetch(self, source: Metadata, body: Any) -> bytes:
        host, _, path = source.url.partition("://")[2].partition("/")
        name, _, port = host.partition(":")
        url = f"{self._url(name, int(port or 80))}/{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": source.content_type}
        limit = aiohttp.ClientTimeout(total=_METADATA_TIMEOUT)
        async with self._session.request(source.method, url, data=data, headers=headers, timeout=limit) as response:
            return await response.read()

    async def _refusal(self, condition: Authorization, env: Mapping[str, Any]) -> str:
        """Why access is denied; empty when it is not."""
        if condition.user is None:
            return "" if all(entry.holds(env) for entry in condition.predicates) else "Unauthorized"
        try:
            spec: Object = {"user": _text(condition.user.of(env))}
            if condition.groups is not None:
                spec["groups"] = condition.groups.of(env)
            if condition.attributes:
                spec["resourceAttributes"] = {
                    name: _text(value.of(env)) for name, value in condition.attributes.items()
                }
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            answer = await self._client.request("POST", _ACCESS_REVIEWS, body=body)
        except (EvaluationError, ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
            return f"not authorized: {error}"
        status = answer.get("status") or {}
        return "" if status.get("allowed") else f"not authorized: {status.get('reason') or 'unknown reason'}"


def _credential(entry: Identity, headers: Mapping[str, str]) -> str | None:
    """The token behind the prefix: the case counts, and exactly one blank."""
    given = headers.get("authorization", "")
    prefix = f"{entry.prefix} "
    return given[len(prefix) :] if given.startswith(prefix) and len(given) > len(prefix) else None


def _published(body: Mapping[str, Value] | Value, env: Mapping[str, Any]) -> Any:
    if isinstance(body, Value):
        return next(iter(_values({"": body}, env).values()), "")
    return _values(body, env)


def _values(body: Mapping[str, Value], env: Mapping[str, Any]) -> dict[str, Any]:
    """Values that can be evaluated."""
    found = {}
    for name, value in body.items():
        try:
            found[name] = value.of(env)
        except EvaluationError:
            continue
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
