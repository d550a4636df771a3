"""Which route serves a request, and what becomes of its path."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.simulator.gateway import routing

GATEWAY = {
    "metadata": {"name": "maas-gateway", "namespace": "istio-system"},
    "spec": {
        "listeners": [
            {
                "name": "http",
                "port": 80,
                "protocol": "HTTP",
                "hostname": "localhost",
                "allowedRoutes": {"namespaces": {"from": "All"}},
            }
        ]
    },
}


def rule(prefix: str, replacement: str | None = None, **match: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"matches": [{"path": {"type": "PathPrefix", "value": prefix}, **match}]}
    if replacement is not None:
        path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": replacement}
        made["filters"] = [{"type": "URLRewrite", "urlRewrite": {"path": path}}]
    return made


def route(name: str, *rules: dict[str, Any], namespace: str = "llm", **spec: Any) -> dict[str, Any]:
    parents = [{"name": "maas-gateway", "namespace": "istio-system"}]
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2025-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"parentRefs": parents, "hostnames": ["localhost"], "rules": rules, **spec}}


MODEL_A = route(
    "model-a-route",
    rule("/llm/model-a/v1/chat/completions", "/v1/chat/completions"),
    rule("/llm/model-a/v1/models", "/v1/models"),
)
MAAS = route("maas-api-route", rule("/v1/models"), rule("/maas-api", "/"), namespace="maas-api")


def table(*routes: dict[str, Any], gateway: dict[str, Any] = GATEWAY) -> routing.Table:
    return routing.Table(routing.attached(gateway, routes, {}))


def request(path: str, host: str = "localhost", method: str = "GET", **headers: str) -> routing.Request:
    return routing.Request(method, host, path, headers, {})


@pytest.mark.parametrize(
    ("path", "name", "sent"),
    [
        ("/llm/model-a/v1/chat/completions", "llm/model-a-route", "/v1/chat/completions"),
        ("/llm/model-a/v1/models", "llm/model-a-route", "/v1/models"),
        ("/llm/model-a/v1/models/", "llm/model-a-route", "/v1/models"),
        ("/llm/model-a/v1/models/x", "llm/model-a-route", "/v1/models/x"),
        ("/v1/models", "maas-api/maas-api-route", "/v1/models"),
        ("/maas-api/v1/tiers/lookup", "maas-api/maas-api-route", "/v1/tiers/lookup"),
        ("/maas-api", "maas-api/maas-api-route", "/"),
    ],
)
def test_routes_and_rewrites(path: str, name: str, sent: str) -> None:
    entry = table(MODEL_A, MAAS).find(request(path))
    assert entry is not None
    assert entry.route_name == name
    assert routing.rewritten(entry, path).rstrip("/") == sent.rstrip("/")


@pytest.mark.parametrize(
    "path", ["/llm/model-a/health", "/llm/zzz/v1/models", "/v1/modelsX", "/", "/llm/model-a/v1/modelsX"]
)
def test_nothing_serves_other_paths(path: str) -> None:
    assert table(MODEL_A, MAAS).find(request(path)) is None


def test_policies_match_paths_as_plain_strings() -> None:
    entry = table(MODEL_A, MAAS).find_policy(request("/v1/modelsX"))
    assert entry is not None
    assert entry.route_name == "maas-api/maas-api-route"
    assert table(MODEL_A, MAAS).find_policy(request("/llm/zzz")) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "maas.local", "example.com"])
def test_only_the_listener_host_is_served(host: str) -> None:
    both = route("r", rule("/"), hostnames=["localhost", "maas.local"])
    assert table(both).find(request("/", "localhost")) is not None
    assert table(both).find(request("/", host)) is None


def test_longer_prefix_then_method_then_header_wins() -> None:
    routes = (
        route("short", rule("/a")),
        route("long", rule("/a/b")),
        route("post", rule("/a/b", method="POST")),
        route("header", rule("/a/b", headers=[{"name": "X-Kind", "value": "special"}])),
        route("exact", {"matches": [{"path": {"type": "Exact", "value": "/a/b/c"}}]}),
    )
    found = table(*routes)

    def name(wanted: routing.Request) -> str:
        entry = found.find(wanted)
        return entry.route["metadata"]["name"] if entry else ""

    assert name(request("/a/x")) == "short"
    assert name(request("/a/b")) == "long"
    assert name(request("/a/b", method="POST")) == "post"
    assert name(request("/a/b", **{"x-kind": "special"})) == "header"
    assert name(request("/a/b/c")) == "exact"


def test_a_listener_takes_routes_of_its_own_namespace_unless_it_says_more() -> None:
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    closed = {**GATEWAY, "spec": {"listeners": [listener]}}
    assert table(MODEL_A, gateway=closed).find(request("/llm/model-a/v1/models")) is None
    own = route("own", rule("/"), namespace="istio-system")
    assert table(own, gateway=closed).find(request("/")) is not None


def test_https_listeners_and_other_gateways_serve_nothing() -> None:
    https = {**GATEWAY["spec"]["listeners"][0], "protocol": "HTTPS"}  # type: ignore[index]
    assert (
        table(MODEL_A, gateway={**GATEWAY, "spec": {"listeners": [https]}}).find(request("/llm/model-a/v1/models"))
        is None
    )
    elsewhere = route("r", rule("/"), parentRefs=[{"name": "another", "namespace": "istio-system"}])
    assert table(elsewhere).find(request("/")) is None
