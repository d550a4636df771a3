"""The programs of Kuadrant's pods: the operator, Authorino, Limitador."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.bootstrap import ensure
from pytest_modelrt.simulator.controllers.kserve.install import AUTHORINO, LIMITADOR
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting, owner_reference
from pytest_modelrt.simulator.gateway.authorino import Authorino
from pytest_modelrt.simulator.gateway.conditions import condition, holds, timed
from pytest_modelrt.simulator.gateway.limits import Counters
from pytest_modelrt.simulator.gateway.mesh import Mesh, PolicyTable
from pytest_modelrt.simulator.gateway.policies import PolicyError, auth_rules, choose, limit_rules, targets
from pytest_modelrt.simulator.gateway.routing import is_parent
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.resources import (
    AUTH_POLICIES,
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    KUADRANTS,
    RATE_LIMIT_POLICIES,
    SERVICES,
    TOKEN_RATE_LIMIT_POLICIES,
    Resource,
)
from pytest_modelrt.simulator.workqueue import WorkQueue

_COMPILERS: dict[Resource, Callable[[Object], Any]] = {
    AUTH_POLICIES: auth_rules,
    RATE_LIMIT_POLICIES: limit_rules,
    TOKEN_RATE_LIMIT_POLICIES: limit_rules,
}
_AUTHORINO_NAME, _LIMITADOR_NAME = "authorino", "limitador-limitador"


class Operator:
    """Runs Authorino and Limitador once there is a Kuadrant object, and puts policies in force."""

    def __init__(self, platform: Platform, mesh: Mesh) -> None:
        self._client = platform.client.as_component("kuadrant-operator")
        self._mesh = mesh
        self._kuadrants = platform.informers.of(KUADRANTS)
        self._policies = {resource: platform.informers.of(resource) for resource in _COMPILERS}
        self._gateways = platform.informers.of(GATEWAYS)
        self._routes = platform.informers.of(HTTP_ROUTES)
        self._deployments = platform.informers.of(DEPLOYMENTS)
        self._queue: WorkQueue[str] = WorkQueue("kuadrant", self._reconcile, platform.clock)
        for informer in (self._kuadrants, *self._policies.values(), self._gateways, self._routes):
            informer.on_change(lambda *_: self._queue.add("all"))
        self._deployments.on_change(self._on_deployment)

    async def program(self, context: ProgramContext) -> int:
        """Run in the operator's container until it is stopped."""
        context.log("kuadrant-operator: starting manager")
        self._queue.add("all")
        await self._queue.run()
        return 0

    def _on_deployment(self, _kind: str, deployment: Object, _old: Object | None) -> None:
        if deployment["metadata"]["name"] in (_AUTHORINO_NAME, _LIMITADOR_NAME):
            self._queue.add("all")

    async def _reconcile(self, _key: str) -> None:
        kuadrant = next((entry for entry in self._kuadrants.cache.values() if not is_deleting(entry)), None)
        if kuadrant is None:
            self._mesh.policies = PolicyTable()
            return
        missing = await self._run_services(kuadrant)
        compiled: dict[Resource, list[tuple[Object, Any]]] = {}
        refused: dict[str, str] = {}
        for resource, informer in self._policies.items():
            compiled[resource] = []
            for policy in informer.cache.values():
                try:
                    compiled[resource].append((policy, _COMPILERS[resource](policy)))
                except PolicyError as error:
                    refused[policy["metadata"]["uid"]] = str(error)
        self._mesh.policies = PolicyTable(
            compiled[AUTH_POLICIES], compiled[RATE_LIMIT_POLICIES], compiled[TOKEN_RATE_LIMIT_POLICIES]
        )
        for resource, informer in self._policies.items():
            for policy in list(informer.cache.values()):
                uid = policy["metadata"]["uid"]
                await self._tell(resource, policy, refused.get(uid, ""), missing)

    async def _run_services(self, kuadrant: Object) -> str:
        """Make sure Authorino and Limitador are deployed; returns the first that is not available."""
        namespace = kuadrant["metadata"]["namespace"]
        missing = ""
        for name, body, service in (_authorino(kuadrant), _limitador(kuadrant)):
            known = self._deployments.get(name, namespace)
            if known is None:
                await ensure(self._client, SERVICES, service)
                await ensure(self._client, DEPLOYMENTS, body)
            if not holds(known, "Available"):
                missing = missing or name
        generation = kuadrant["metadata"]["generation"]
        if missing:
            title = "Authorino" if missing == _AUTHORINO_NAME else "Limitador"
            wanted = condition("Ready", False, f"{title}NotReady", f"{title} is not ready", generation)
        else:
            wanted = condition("Ready", True, "Ready", "Kuadrant is ready", generation)
        await self._write(KUADRANTS, kuadrant, [wanted])
        return missing

    async def _tell(self, resource: Resource, policy: Object, problem: str, missing: str) -> None:
        """Write ``Accepted`` and ``Enforced``."""
        kind, generation = policy.get("kind") or resource.kind, policy["metadata"]["generation"]
        target = policy["spec"]["targetRef"]
        known = self._gateways if target["kind"] == "Gateway" else self._routes
        found = next((obj for obj in known.cache.values() if targets(policy, obj)), None)
        if problem:
            wanted = [condition("Accepted", False, "Invalid", f"{kind} target is invalid: {problem}", generation)]
        elif found is None:
            text = f"{kind} target {target['name']} was not found"
            wanted = [condition("Accepted", False, "TargetNotFound", text, generation)]
        else:
            wanted = [condition("Accepted", True, "Accepted", f"{kind} has been accepted", generation)]
            why, text = self._not_enforced(resource, policy, found, missing)
            if why:
                wanted.append(condition("Enforced", False, why, f"{kind} {text}", generation))
            else:
                text = f"{kind} has been successfully enforced"
                wanted.append(condition("Enforced", True, "Enforced", text, generation))
        await self._write(resource, policy, wanted)

    def _not_enforced(self, resource: Resource, policy: Object, target: Object, missing: str) -> tuple[str, str]:
        if missing:
            return "Unknown", f"has encountered some issues: {missing} is not ready"
        gateways = list(self._gateways.cache.values())
        pairs = [
            (route, gateway)
            for route in self._routes.cache.values()
            for gateway in gateways
            if any(is_parent(parent, route, gateway) for parent in route["spec"].get("parentRefs") or [])
            and target["metadata"]["uid"] in (route["metadata"]["uid"], gateway["metadata"]["uid"])
        ]
        if not pairs:
            return "Unknown", "is not in the path to any existing routes"
        rivals = list(self._policies[resource].cache.values())
        winners = [choose(rivals, route, gateway) for route, gateway in pairs]
        if not any(winner is policy for winner in winners):
            names = sorted({f"{w['metadata']['namespace']}/{w['metadata']['name']}" for w in winners if w is not None})
            return "Overridden", f"is overridden by [{' '.join(names)}]"
        if not any(holds(gateway, "Programmed") for _route, gateway in pairs):
            return "Unknown", "has encountered some issues: gateway is not programmed"
        return "", ""

    async def _write(self, resource: Resource, obj: Object, wanted: list[Object]) -> None:
        metadata, old = obj["metadata"], obj.get("status") or {}
        fresh = {"conditions": timed(wanted, old.get("conditions")), "observedGeneration": metadata["generation"]}
        if all(old.get(name) == value for name, value in fresh.items()):
            return
        try:
            await self._client.patch_status(resource, metadata["name"], fresh, metadata["namespace"])
        except ApiStatusError as error:
            if not error.not_found:
                raise


class Services:
    """The programs of Authorino and Limitador: each is reachable while its container runs."""

    def __init__(self, platform: Platform, mesh: Mesh) -> None:
        self._client = platform.client.as_component("authorino")
        self._clock = platform.clock
        self._mesh = mesh

    async def authorino(self, context: ProgramContext) -> int:
        """Answer the gateway's authentication calls until stopped."""
        async with aiohttp.ClientSession() as session:
            own = Authorino(context, self._client, session)
            self._mesh.authorino = own
            context.log("starting grpc auth service port=50051")
            try:
                await asyncio.Event().wait()
            finally:
                if self._mesh.authorino is own:
                    self._mesh.authorino = None
        return 0

    async def limitador(self, context: ProgramContext) -> int:
        """Count until stopped; what was counted goes with the container."""
        own = Counters(self._clock)
        await context.serve(8080, limitador_pages(own))
        self._mesh.limitador = own
        try:
            await asyncio.Event().wait()
        finally:
            if self._mesh.limitador is own:
                self._mesh.limitador = None
        return 0


def limitador_pages(counters: Counters) -> web.Application:
    """Limitador's HTTP pages: status, metrics, and the running windows of a route (``/counters/llm%2Fmodel-a-route``).

    ``expires_in_seconds`` is in cluster seconds.
    """

    async def status(_request: web.Request) -> web.Response:
        return web.json_response({})

    async def metrics(_request: web.Request) -> web.Response:
        lines = ["# TYPE limitador_up gauge", "limitador_up 1"]
        for name, tally in (("authorized_calls", counters.authorized), ("limited_calls", counters.limited)):
            lines.append(f"# TYPE {name} counter")
            lines += [f'{name}{{limitador_namespace="{route}"}} {count}' for route, count in sorted(tally.items())]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    async def windows(request: web.Request) -> web.Response:
        found = [
            {
                "limit": {
                    "namespace": counter.key.namespace,
                    "max_value": counter.most,
                    "seconds": int(counter.window),
                    "name": counter.key.limit,
                },
                "set_variables": dict(zip(counter.variables, counter.key.values, strict=True)),
                "remaining": left,
                "expires_in_seconds": round(seconds, 3),
            }
            for counter, left, seconds in counters.current(request.match_info["namespace"])
        ]
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/status", status)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/counters/{namespace:.+}", windows)
    return app


def _authorino(kuadrant: Object) -> tuple[str, Object, Object]:
    labels = {"authorino-resource": "authorino", "control-plane": "controller-manager"}
    ports = [{"name": "grpc", "port": 50051, "targetPort": 50051}]
    deployment = _deployment(kuadrant, _AUTHORINO_NAME, AUTHORINO, labels)
    return _AUTHORINO_NAME, deployment, _service(kuadrant, "authorino-authorino-authorization", labels, ports)


def _limitador(kuadrant: Object) -> tuple[str, Object, Object]:
    labels = {"app": "limitador", "limitador-resource": "limitador"}
    ports = [
        {"name": "http", "port": 8080, "targetPort": 8080},
        {"name": "grpc", "port": 8081, "targetPort": 8081},
    ]
    deployment = _deployment(kuadrant, _LIMITADOR_NAME, LIMITADOR, labels)
    return _LIMITADOR_NAME, deployment, _service(kuadrant, _LIMITADOR_NAME, labels, ports)


def _metadata(kuadrant: Object, name: str, labels: dict[str, str]) -> Object:
    namespace = kuadrant["metadata"]["namespace"]
    return {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner_reference(kuadrant)]}


def _deployment(kuadrant: Object, name: str, image: str, labels: dict[str, str]) -> Object:
    container = {"name": name.partition("-")[0], "image": image, "resources": {"requests": {"cpu": "10m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": _metadata(kuadrant, name, labels), "spec": spec}


def _service(kuadrant: Object, name: str, labels: dict[str, str], ports: list[Object]) -> Object:
    return {"metadata": _metadata(kuadrant, name, labels), "spec": {"selector": labels, "ports": ports}}
