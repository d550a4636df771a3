"""Policies compiled: what an AuthPolicy, RateLimitPolicy or TokenRateLimitPolicy asks for, ready to be applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.gateway.cel import Env, Expression, ExpressionError, compile_expression
from pytest_modelrt.simulator.gateway.limits import Counter, CounterKey, window_seconds


class PolicyError(Exception):
    """A policy cannot be used; the text is what its condition says."""


@dataclass(frozen=True, slots=True)
class Value:
    """A constant, or an expression to be evaluated."""

    constant: Any = None
    expression: Expression | None = None

    def of(self, env: Env) -> Any:
        """The value in ``env``.

        Raises:
            EvaluationError: the expression asks for what is not there.
        """
        return self.constant if self.expression is None else self.expression.evaluate(env)


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to prove who is asking."""

    name: str
    audiences: tuple[str, ...]
    anonymous: bool
    prefix: str
    """Word in front of the token in the Authorization header."""
    when: tuple[Expression, ...]
    defaults: Mapping[str, Value]
    overrides: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Metadata:
    """A question to another service, whose answer enriches the identity."""

    name: str
    url: str
    method: str
    content_type: str
    body: Value | None
    cache_key: Value | None
    ttl: float
    when: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Authorization:
    """One condition of access: predicates, or a question to the API server."""

    name: str
    predicates: tuple[Expression, ...]
    user: Value | None
    groups: Value | None
    attributes: Mapping[str, Value]
    when: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AuthRules:
    """An AuthPolicy."""

    identities: tuple[Identity, ...]
    metadata: tuple[Metadata, ...]
    authorization: tuple[Authorization, ...]
    headers: Mapping[str, Mapping[str, Value] | Value] = field(default_factory=dict)
    """Headers for the backend."""
    filters: Mapping[str, Mapping[str, Value] | Value] = field(default_factory=dict)
    """What other policies see below ``auth``."""


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit of a policy."""

    name: str
    rates: tuple[tuple[int, float], ...]
    """Hits and cluster seconds."""
    when: tuple[Expression, ...]
    counters: tuple[Expression, ...]

    def counters_for(self, route: str, env: Env) -> list[Counter]:
        """The counters a request hits; none when the limit does not apply to it."""
        if not all(predicate.holds(env) for predicate in self.when):
            return []
        values = tuple(str(expression.evaluate(env)) for expression in self.counters)
        variables = tuple(expression.text for expression in self.counters)
        return [
            Counter(CounterKey(route, f"{self.name}#{index}", values), most, window, variables)
            for index, (most, window) in enumerate(self.rates)
        ]


def auth_rules(policy: Object) -> AuthRules:
    """Compile an AuthPolicy.

    Raises:
        PolicyError: it asks for something that is not understood here.
    """
    rules = effective(policy["spec"]).get("rules") or {}
    response = (rules.get("response") or {}).get("success") or {}
    try:
        return AuthRules(
            tuple(_identity(name, body) for name, body in (rules.get("authentication") or {}).items()),
            tuple(_metadata(name, body) for name, body in (rules.get("metadata") or {}).items()),
            tuple(_authorization(name, body) for name, body in (rules.get("authorization") or {}).items()),
            {name: _published(body) for name, body in (response.get("headers") or {}).items()},
            {name: _published(body) for name, body in (response.get("filters") or {}).items()},
        )
    except (ExpressionError, KeyError, TypeError, AttributeError) as error:
        raise PolicyError(f"{policy['metadata']['name']}: {error}") from None


def limit_rules(policy: Object) -> tuple[LimitRule, ...]:
    """Compile a RateLimitPolicy or TokenRateLimitPolicy.

    Raises:
        PolicyError: an expression or a window makes no sense.
    """
    metadata, spec = policy["metadata"], effective(policy["spec"])
    always = spec.get("when") or []
    try:
        return tuple(
            LimitRule(
                f"{metadata['namespace']}/{metadata['name']}/{name}",
                tuple((rate["limit"], window_seconds(rate["window"])) for rate in limit.get("rates") or []),
                _predicates([*always, *(limit.get("when") or [])]),
                tuple(compile_expression(entry["expression"]) for entry in limit.get("counters") or []),
            )
            for name, limit in (spec.get("limits") or {}).items()
        )
    except (ExpressionError, ValueError) as error:
        raise PolicyError(f"{metadata['name']}: {error}") from None


def effective(spec: Object) -> Object:
    """The part of a policy's spec that holds its rules."""
    part: Object = spec.get("overrides") or spec.get("defaults") or spec
    return part


def choose(policies: Iterable[Object], route: Object, gateway: Object) -> Object | None:
    """The policy of one kind that guards a route: its own, unless the gateway's overrides; the oldest of several."""
    ranked: list[tuple[int, str, str, Object]] = []
    for policy in policies:
        target = policy["spec"]["targetRef"]
        own = target["kind"] == "HTTPRoute" and targets(policy, route)
        general = target["kind"] == "Gateway" and targets(policy, gateway)
        if own or general:
            rank = 0 if general and policy["spec"].get("overrides") else 1 if own else 2
            metadata = policy["metadata"]
            ranked.append((rank, metadata.get("creationTimestamp", ""), metadata["name"], policy))
    return min(ranked, key=lambda entry: entry[:3])[3] if ranked else None


def targets(policy: Object, obj: Object) -> bool:
    """Whether a policy names this object of its own namespace."""
    metadata = obj["metadata"]
    return bool(
        policy["spec"]["targetRef"]["name"] == metadata["name"]
        and policy["metadata"]["namespace"] == metadata["namespace"]
    )


def _predicates(entries: Sequence[Object]) -> tuple[Expression, ...]:
    return tuple(compile_expression(entry["predicate"]) for entry in entries)


def _value(body: Any) -> Value:
    if not isinstance(body, Mapping):
        return Value(body)
    if "expression" in body:
        return Value(expression=compile_expression(body["expression"]))
    if "selector" in body:
        return Value(expression=_selector(body["selector"]))
    return Value(body.get("value"))


def _selector(text: str) -> Expression:
    """A path into the request's data; ``.@tostr`` makes JSON text of what it finds."""
    path, _, modifier = text.partition(".@")
    if modifier not in ("", "tostr"):
        raise ExpressionError(f"modifier @{modifier} is not known here (in {text!r})")
    return compile_expression(f"tostr({path})" if modifier else path)


def _identity(name: str, body: Object) -> Identity:
    if "kubernetesTokenReview" not in body and "anonymous" not in body:
        raise PolicyError(f"authentication {name}: only kubernetesTokenReview and anonymous are part of this simulator")
    credentials = (body.get("credentials") or {}).get("authorizationHeader") or {}
    return Identity(
        name,
        tuple((body.get("kubernetesTokenReview") or {}).get("audiences") or ()),
        "anonymous" in body,
        str(credentials.get("prefix") or "Bearer"),
        _predicates(body.get("when") or []),
        {key: _value(value) for key, value in (body.get("defaults") or {}).items()},
        {key: _value(value) for key, value in (body.get("overrides") or {}).items()},
    )


def _metadata(name: str, body: Object) -> Metadata:
    if "http" not in body:
        raise PolicyError(f"metadata {name}: only http is part of this simulator")
    http, cache = body["http"], body.get("cache") or {}
    return Metadata(
        name,
        http["url"],
        http.get("method", "GET"),
        http.get("contentType", "application/x-www-form-urlencoded"),
        _value(http["body"]) if "body" in http else None,
        _value(cache["key"]) if "key" in cache else None,
        float(cache.get("ttl", 60)),
        _predicates(body.get("when") or []),
    )


def _authorization(name: str, body: Object) -> Authorization:
    when = _predicates(body.get("when") or [])
    if "patternMatching" in body:
        return Authorization(name, _predicates(body["patternMatching"]["patterns"]), None, None, {}, when)
    if "kubernetesSubjectAccessReview" not in body:
        raise PolicyError(
            f"authorization {name}: only kubernetesSubjectAccessReview and patternMatching are part of this simulator"
        )
    review = body["kubernetesSubjectAccessReview"]
    groups = review.get("authorizationGroups")
    attributes = {key: _value(value) for key, value in (review.get("resourceAttributes") or {}).items()}
    return Authorization(name, (), _value(review["user"]), _value(groups) if groups else None, attributes, when)


def _published(body: Object) -> Mapping[str, Value] | Value:
    if "json" in body:
        return {name: _value(value) for name, value in (body["json"].get("properties") or {}).items()}
    return _value(body.get("plain") or {})
