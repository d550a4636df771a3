"""Who is who and who may what: tokens, reviews, roles, client certificates, protobuf bodies."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from pytest_modelrt.simulator.apiserver import pki, protobuf
from pytest_modelrt.simulator.apiserver.errors import StatusError

from .conftest import Cluster, http_client


def issue(api: httpx.Client, namespace: str, **spec: Any) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.post(path, json={"metadata": {"name": "robot"}})
    answer = api.post(f"{path}/robot/token", json={"spec": spec})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def decoded(part: str) -> Any:
    return json.loads(unpadded(part))


def unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_tokens_are_real_and_verifiable(api: httpx.Client, namespace: str) -> None:
    found = issue(api, namespace, audiences=["gateway"], expirationSeconds=6000)
    header, claims, signature = found["status"]["token"].split(".")
    body = decoded(claims)
    assert body["aud"] == ["gateway"]
    assert body["sub"] == f"system:serviceaccount:{namespace}:robot"
    assert body["kubernetes.io"]["serviceaccount"]["name"] == "robot"
    assert body["exp"] - body["iat"] == 6000 / 60, "the cluster runs 60 times as fast"
    (key,) = api.get("/openid/v1/jwks").json()["keys"]
    assert (key["kid"], key["alg"]) == (decoded(header)["kid"], decoded(header)["alg"])
    x, y = (int.from_bytes(unpadded(key[part]), "big") for part in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = unpadded(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(der, f"{header}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


def test_short_tokens_are_refused(api: httpx.Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    answer = api.post(path, json={"spec": {"expirationSeconds": 60}})
    assert answer.status_code == 422
    assert "may not specify a duration less than 10 minutes" in answer.json()["message"]


def test_roles_decide(api: httpx.Client, cluster: Cluster, namespace: str) -> None:
    token = issue(api, namespace)["status"]["token"]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    with http_client(cluster, token) as robot:
        answer = robot.get(f"/api/v1/namespaces/{namespace}/pods")
        assert answer.status_code == 403
        assert answer.json()["message"] == (
            f'pods is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list resource "pods" in API '
            f'group "" in the namespace "{namespace}"'
        )
        assert answer.json()["details"] == {"kind": "pods"}
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
        api.post(f"{rbac}/roles", json={"metadata": {"name": "r"}, "rules": [rule]}).raise_for_status()
        subject = {"kind": "ServiceAccount", "name": "robot", "namespace": namespace}
        binding = {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject]}
        api.post(f"{rbac}/rolebindings", json=binding).raise_for_status()
        assert robot.get(f"/api/v1/namespaces/{namespace}/pods").status_code == 200
        assert robot.get("/api/v1/pods").status_code == 403
        assert robot.get("/apis").status_code == 200

        def may(verb: str) -> bool:
            attributes = {"verb": verb, "resource": "pods", "namespace": namespace}
            review = robot.post(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                json={"spec": {"resourceAttributes": attributes}},
            )
            assert review.status_code == 201
            return bool(review.json()["status"]["allowed"])

        assert may("list")
        assert not may("delete")
        whoami = robot.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}).json()
        assert whoami["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:robot"


def test_token_reviews(api: httpx.Client, namespace: str) -> None:
    token = issue(api, namespace, audiences=["gateway"])["status"]["token"]

    def review(audiences: list[str]) -> dict[str, Any]:
        spec = {"token": token, "audiences": audiences}
        answer = api.post("/apis/authentication.k8s.io/v1/tokenreviews", json={"spec": spec}).json()
        found: dict[str, Any] = answer["status"]
        return found

    assert review(["gateway"])["authenticated"]
    assert review(["gateway"])["user"]["username"].endswith(":robot")
    assert not review(["other"]).get("authenticated")
    api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/robot").raise_for_status()
    assert not review(["gateway"]).get("authenticated")


def test_client_certificates(cluster: Cluster, tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=cluster.server.ca_pem.decode())
    pki.load_chain(context, *cluster.server.issue_client_certificate("jane", "system:masters"))
    with httpx.Client(base_url=cluster.server.url, verify=context) as client:
        info = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}).json()["status"]["userInfo"]
    assert info == {"username": "jane", "groups": ["system:masters", "system:authenticated"]}


def test_kubeconfig_is_private_and_says_simulator(cluster: Cluster) -> None:
    assert cluster.kubeconfig.stat().st_mode & 0o077 == 0
    (entry,) = json.loads(cluster.kubeconfig.read_text(encoding="utf-8"))["clusters"]
    assert entry["cluster"]["extensions"] == [{"name": "modelrt.io/simulator", "extension": {"speed": 60.0}}]


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return protobuf.MAGIC + field(1, field(1, api_version.encode()) + field(2, kind.encode())) + field(2, raw)


def test_protobuf_bodies(api: httpx.Client, namespace: str) -> None:
    meta = field(1, field(1, b"proto") + field(2, b"") + field(11, field(1, b"k") + field(2, b"v")))
    raw = meta + field(2, field(1, b"a") + field(2, b"b"))
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    answer = api.post(path, content=envelope("v1", "ConfigMap", raw), headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"] == {"a": "b"}
    assert answer.json()["metadata"]["labels"] == {"k": "v"}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    answer = api.post(pods, content=envelope("v1", "Pod", b""), headers=headers)
    assert answer.status_code == 415
    assert "Pod" in answer.json()["message"]
    assert "kubectl apply -f" in answer.json()["message"]


@pytest.mark.parametrize("body", [b"", b"k8s\x00\xff", b"k8s\x00\x0a\x7f"])
def test_broken_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        protobuf.decode(body)
    assert refused.value.code in (400, 415)
