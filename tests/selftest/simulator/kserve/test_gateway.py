"""The gateway with its policies: who gets through, what is counted, what the backend sees."""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.selftest.simulator.kserve.conftest import Maas

LIMITED = "Too Many Requests\n"


def test_who_is_nobody(maas: Maas) -> None:
    for headers in ({}, {"Authorization": "bearer x"}, {"Authorization": "Basic x"}):
        response = maas.client.get("/llm/model-a/v1/models", headers=headers)
        assert (response.status_code, response.content) == (401, b"")
        assert response.headers["www-authenticate"] == 'Bearer realm="service-accounts"'
        assert response.headers["x-ext-auth-reason"] == "credential not found"


def test_whose_token_is_no_good(maas: Maas) -> None:
    maas.kubectl("create", "serviceaccount", "deleted", "-n", "maas-default-gateway-tier-free")
    gone = maas.kubectl(
        "create", "token", "deleted", "-n", "maas-default-gateway-tier-free", "--audience=maas-default-gateway-sa"
    )
    maas.kubectl("delete", "serviceaccount", "deleted", "-n", "maas-default-gateway-tier-free")
    for token in ("garbage", maas.token("free", audience=""), maas.token("free", audience="else"), gone.strip()):
        for path in ("/llm/model-a/v1/models", "/v1/models"):
            response = maas.get(path, token)
            assert (response.status_code, response.content) == (401, b"")
            assert response.headers["x-ext-auth-reason"] == "not authenticated"


@pytest.mark.parametrize(
    ("tier", "allowed"),
    [("free", {"model-a"}), ("premium", {"model-a", "model-b"}), ("enterprise", {"model-a", "model-b"})],
)
def test_who_may_use_which_model(maas: Maas, tier: str, allowed: set[str]) -> None:
    token = maas.token(tier, f"matrix-{tier}")
    for model in ("model-a", "model-b"):
        response = maas.chat(model, token)
        assert response.status_code == (200 if model in allowed else 403)
        if model in allowed:
            assert response.json()["model"] == model
        else:
            assert response.content == b""
            assert response.headers["x-ext-auth-reason"] == "not authorized: unknown reason"
    assert {entry["id"] for entry in maas.get("/v1/models", token).json()["data"]} >= {"model-a", "model-b"}


def test_an_account_nobody_bound_is_refused_until_it_is_bound(maas: Maas) -> None:
    maas.kubectl("create", "serviceaccount", "stranger", "-n", "maas-api")
    token = maas.kubectl("create", "token", "stranger", "-n", "maas-api", "--audience=maas-default-gateway-sa").strip()
    assert maas.chat("model-a", token).status_code == 403
    maas.kubectl(
        "create", "rolebinding", "stranger", "-n", "llm", "--role=model-a-access", "--serviceaccount=maas-api:stranger"
    )
    assert maas.chat("model-a", token).status_code == 200


def test_paths(maas: Maas) -> None:
    token = maas.token("enterprise", "walker")
    for path in ("/llm/model-a/health", "/llm/zzz/v1/models", "/health", "/v1/chat/completions"):
        assert maas.get(path).status_code == 404
        assert maas.get(path, token).status_code == 404
    assert maas.get("/v1/modelsX").status_code == 401
    assert maas.get("/v1/modelsX", token).status_code == 404
    rest = maas.get("/llm/model-a/v1/models/x", token)
    assert (rest.status_code, rest.text) == (404, "Not Found")
    assert rest.headers["server"] == "istio-envoy"
    mismatch = maas.client.post(
        "/llm/model-a/v1/chat/completions",
        json={"model": "model-b", "messages": []},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (mismatch.status_code, mismatch.json()["error"]["type"]) == (404, "NotFoundError")
    assert maas.client.get("/v1/models", headers={"Host": "127.0.0.1"}).status_code == 404


def test_requests_are_limited_per_user_and_route(maas: Maas) -> None:
    token, other = maas.token("premium", "busy"), maas.token("premium", "calm")
    codes = [maas.get("/llm/model-a/v1/models", token).status_code for _ in range(22)]
    assert codes == [200] * 20 + [429] * 2
    refused = maas.chat("model-a", token)
    assert (refused.status_code, refused.text) == (429, LIMITED)
    assert "retry-after" not in refused.headers
    assert maas.chat("model-a", other).status_code == 200
    assert maas.chat("model-b", token).status_code == 200
    assert maas.get("/v1/models", token).status_code == 200


def test_tokens_are_charged_after_the_reply(maas: Maas) -> None:
    token = maas.token("free", "talker")
    codes = [maas.chat("model-a", token, max_tokens=60, ignore_eos=True).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert maas.chat("model-a", token).text == LIMITED


def test_streams_are_charged_when_they_say_what_they_used(maas: Maas) -> None:
    token = maas.token("free", "streamer")
    plain = {"stream": True, "max_tokens": 60, "ignore_eos": True}
    assert [maas.chat("model-a", token, **plain).status_code for _ in range(3)] == [200] * 3
    silent, told = maas.token("free", "silent"), {**plain, "stream_options": {"include_usage": True}}
    assert [maas.chat("model-a", silent, **told).status_code for _ in range(3)] == [200, 200, 429]


def test_a_refused_user_costs_nothing(maas: Maas) -> None:
    token = maas.token("free", "curious")
    assert [maas.chat("model-b", token).status_code for _ in range(8)] == [403] * 8
    assert [maas.chat("model-a", token).status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_restart_of_limitador_forgets(maas: Maas) -> None:
    token = maas.token("free", "patient")
    assert [maas.chat("model-a", token).status_code for _ in range(6)] == [200] * 5 + [429]
    maas.kubectl("rollout", "restart", "deployment/limitador-limitador", "-n", "kuadrant-system")
    maas.kubectl("rollout", "status", "deployment/limitador-limitador", "-n", "kuadrant-system", "--timeout=60s")
    assert maas.chat("model-a", token).status_code == 200


def test_policies_say_what_is_wrong_with_them(maas: Maas) -> None:
    policy = {
        "apiVersion": "kuadrant.io/v1",
        "kind": "RateLimitPolicy",
        "metadata": {"name": "odd", "namespace": "llm"},
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "model-a-route"},
            "limits": {"x": {"rates": [{"limit": 1, "window": "soon"}]}},
        },
    }
    maas.kubectl.apply(policy)
    try:
        maas.kubectl.wait("ratelimitpolicy/odd", "condition=Accepted=False", "-n", "llm")
        held = maas.kubectl.get("ratelimitpolicy", "odd", "-n", "llm")["status"]["conditions"]
        assert "soon" in held[0]["message"]
        policy["spec"]["targetRef"]["name"] = "nowhere"  # type: ignore[index]
        policy["spec"]["limits"]["x"]["rates"] = [{"limit": 1, "window": "1m"}]  # type: ignore[index]
        maas.kubectl.apply(policy)
        reason = "jsonpath={.status.conditions[?(@.type=='Accepted')].reason}=TargetNotFound"
        maas.kubectl.wait("ratelimitpolicy/odd", reason, "-n", "llm")
    finally:
        maas.kubectl("delete", "ratelimitpolicy", "odd", "-n", "llm")


def test_a_service_without_endpoints_and_a_route_without_service(maas: Maas) -> None:
    token = maas.token("enterprise", "visitor")
    parents = [{"name": "maas-gateway", "namespace": "istio-system"}]
    rules = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": f"/llm/model-b/{name}"}}],
            "backendRefs": [{"name": name, "port": 80}],
        }
        for name in ("empty", "missing")
    ]
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "nobody", "namespace": "llm"},
        "spec": {"parentRefs": parents, "rules": rules},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "empty", "namespace": "llm"},
        "spec": {"selector": {"app": "nothing"}, "ports": [{"port": 80}]},
    }
    maas.kubectl.apply(service, route)
    try:
        broken = "jsonpath={.status.parents[0].conditions[?(@.type=='ResolvedRefs')].reason}=BackendNotFound"
        maas.kubectl.wait("httproute/nobody", broken, "-n", "llm")
        assert maas.get("/llm/model-b/missing", token).status_code == 500
        answer = maas.get("/llm/model-b/empty", token)
        assert (answer.status_code, answer.text) == (503, "no healthy upstream")
    finally:
        maas.kubectl("delete", "httproute/nobody", "service/empty", "-n", "llm")


def test_maas_api(maas: Maas) -> None:
    both = maas.kubectl(
        "create", "token", "premium-user", "-n", "maas-default-gateway-tier-premium",
        "--audience=maas-default-gateway-sa", "--audience=https://kubernetes.default.svc.cluster.local",
    ).strip()  # fmt: skip
    headers = {"Authorization": f"Bearer {both}"}
    assert maas.client.get("/maas-api/health", headers=headers).json() == {"status": "healthy"}
    assert maas.client.get("/maas-api/health").status_code == 401
    groups = ["system:authenticated", "system:serviceaccounts:maas-default-gateway-tier-premium"]
    found = maas.client.post("/maas-api/v1/tiers/lookup", json={"groups": groups}, headers=headers)
    assert found.json() == {"tier": "premium"}
    assert maas.client.post("/maas-api/v1/tiers/lookup", json={"groups": ["x"]}, headers=headers).status_code == 404
    assert maas.client.post("/maas-api/v1/tiers/lookup", json={"groups": []}, headers=headers).status_code == 400
    assert maas.client.post("/maas-api/v1/tokens", json={"expiration": "4hours"}, headers=headers).status_code == 400
    assert maas.client.post("/maas-api/v1/tokens", json={"expiration": "5m"}, headers=headers).status_code == 400
    minted = maas.client.post("/maas-api/v1/tokens", json={"expiration": "1h"}, headers=headers)
    assert minted.status_code == 201
    token = minted.json()["token"]
    assert maas.get("/v1/models", token).status_code == 200
    assert maas.client.delete("/maas-api/v1/tokens", headers=headers).status_code == 204
    assert maas.get("/v1/models", token).status_code == 401


def test_the_official_client_works_through_the_gateway(maas: Maas) -> None:
    token = maas.token("enterprise", "official")
    with openai.OpenAI(base_url=f"{maas.url}/llm/model-a/v1", api_key=token, max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model="model-a", messages=[{"role": "user", "content": "Hi"}], max_tokens=5, stream=True
            )
        )
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [model.id for model in client.models.list()] == ["model-a"]


def test_the_proxy_is_reached_by_port_forward_as_well(maas: Maas) -> None:
    """And its address is on the Gateway: the NodePort of its Service on this machine."""
    [address] = maas.kubectl.get("gateway", "maas-gateway", "-n", "istio-system")["status"]["addresses"]
    service = maas.kubectl.get("service", "maas-gateway-istio", "-n", "istio-system")
    ports = {port["port"]: port.get("nodePort") for port in service["spec"]["ports"]}
    assert list(ports) == [15021, 80]
    assert maas.url == f"http://localhost:{ports[80]}"
    response = httpx.get(
        f"http://{address['value']}:{ports[80]}/v1/models", headers={"Host": "localhost"}, trust_env=False
    )
    assert response.status_code == 401
