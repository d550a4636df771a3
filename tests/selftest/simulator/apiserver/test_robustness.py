"""Whatever a body holds, the answer is an object or a Status that says what is wrong; never an internal error."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import WIDGETS, widget

JUNK: list[Any] = [None, 1, -1, "", "x", [], {}, [1], {"a": 1}, [None], True, 1.5, {"a": {"b": []}}]
META = {
    "name": "x",
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "finalizers": ["example.com/x"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}],
}
CONTAINER = {
    "name": "c",
    "image": "i",
    "ports": [{"containerPort": 80}],
    "resources": {"limits": {"cpu": 1}},
    "livenessProbe": {"httpGet": {"port": 1}},
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER], "volumes": [{"name": "v"}]}}
WORKLOAD = {
    "metadata": META,
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
        "template": TEMPLATE,
        "strategy": {"type": "RollingUpdate"},
    },
}
BODIES: dict[str, Any] = {
    "/api/v1/namespaces/{}/pods": {"metadata": META, "spec": TEMPLATE["spec"]},
    "/apis/apps/v1/namespaces/{}/deployments": WORKLOAD,
    "/apis/batch/v1/namespaces/{}/jobs": WORKLOAD,
    "/api/v1/namespaces/{}/services": {"metadata": META, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    "/api/v1/namespaces/{}/secrets": {"metadata": META, "data": {"a": "Yg=="}, "stringData": {"x": "y"}},
    "/api/v1/namespaces/{}/events": {"metadata": META, "involvedObject": {"kind": "P"}, "count": 1},
    "/apis/example.com/v1beta1/namespaces/{}/widgets": {
        **widget("x", count=1, items=[{"name": "a"}]),
        "metadata": META,
    },
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": WIDGETS,
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": {"spec": {"resourceAttributes": {"verb": "get"}}},
    "/apis/authentication.k8s.io/v1/tokenreviews": {"spec": {"token": "a", "audiences": ["b"]}},
    "/api/v1/namespaces/{}/serviceaccounts/default/token": {"spec": {"audiences": ["a"], "expirationSeconds": 600}},
}
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def damaged(value: Any, chance: random.Random) -> Any:
    """A copy with junk in one place."""
    result = copy.deepcopy(value)
    path = chance.choice(list(places(result)))
    junk = copy.deepcopy(chance.choice(JUNK))
    if not path:
        return junk
    holder = result
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = junk
    return result


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.rpartition("/")[2])
def test_damaged_bodies_get_real_answers(api: httpx.Client, namespace: str, path: str) -> None:
    chance = random.Random(path)
    where = path.format(namespace)
    for _ in range(25):
        body = damaged(BODIES[path], chance)
        answers = [api.post(where, json=body)]
        for kind in PATCHES:
            params = {"fieldManager": "m", "force": "true"} if "apply" in kind else {}
            change = damaged(BODIES[path], chance)
            answers.append(api.patch(f"{where}/x", json=change, params=params, headers={"Content-Type": kind}))
        answers.append(api.request("DELETE", f"{where}/x", json=damaged({"gracePeriodSeconds": 0}, chance)))
        for answer in answers:
            assert "prevented the request" not in answer.text, (answer.request.method, answer.request.content)
        api.delete(f"{where}/x", params={"gracePeriodSeconds": "0"})
    assert api.get("/readyz").text == "ok"
