"""The router of an LLMInferenceService: its HTTPRoute, and the conditions about gateways and routes."""

from __future__ import annotations

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.kserve import children
from pytest_modelrt.simulator.controllers.kserve.conditions import ROUTER, Conditions
from pytest_modelrt.simulator.controllers.kserve.naming import child_name
from pytest_modelrt.simulator.controllers.kserve.owned import Owned
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.resources import GATEWAYS, HTTP_ROUTES

_STOPPED = ("Stopped", "Service is stopped")


class Router:
    """Reconciles routes; schedulers are refused with a condition, this simulator has none."""

    def __init__(self, platform: Platform, owned: Owned) -> None:
        self._owned = owned
        self._gateways = platform.informers.of(GATEWAYS)
        self._routes = platform.informers.of(HTTP_ROUTES)

    async def reconcile(self, service: Object, spec: Object, conditions: Conditions, *, stopped: bool) -> Object:
        """Write route and conditions; returns ``url`` and ``addresses`` of the status, when there is a route."""
        router = spec.get("router") or {}
        try:
            if not self._references_exist(service, router, conditions):
                return {}
            if router.get("scheduler") is not None:
                text = "Failed to reconcile scheduler: schedulers are not part of this simulator"
                conditions.false("SchedulerWorkloadReady", "SchedulerReconcileError", text)
                return {}
            conditions.clear("SchedulerWorkloadReady")
            routes = await self._reconcile_route(service, spec, conditions, stopped=stopped)
            conditions.true("InferencePoolReady")
            self._judge_gateways(service, router, conditions, stopped=stopped)
            self._judge_routes(routes, conditions, stopped=stopped)
            return self._addresses(routes) if "route" in router else {}
        finally:
            conditions.determine("RouterReady", ROUTER)

    def _references_exist(self, service: Object, router: Object, conditions: Conditions) -> bool:
        namespace = service["metadata"]["namespace"]
        for entry in (router.get("gateway") or {}).get("refs") or []:
            where = entry.get("namespace") or namespace
            if self._gateways.get(entry["name"], where) is None:
                text = f"Gateway {where}/{entry['name']} does not exist"
                conditions.false("GatewaysReady", "RefsInvalid", text)
                return False
        for entry in ((router.get("route") or {}).get("http") or {}).get("refs") or []:
            if self._routes.get(entry["name"], namespace) is None:
                text = f"HTTPRoute {namespace}/{entry['name']} does not exist"
                conditions.false("HTTPRoutesReady", "RefsInvalid", text)
                return False
        return True

    async def _reconcile_route(
        self, service: Object, spec: Object, conditions: Conditions, *, stopped: bool
    ) -> list[Object]:
        metadata = service["metadata"]
        router = spec.get("router") or {}
        http = (router.get("route") or {}).get("http") or {}
        if stopped or not http.get("spec"):
            own = {
                "metadata": {"name": child_name(metadata["name"], "-kserve-route"), "namespace": metadata["namespace"]}
            }
            await self._owned.remove(service, HTTP_ROUTES, own)
            named = [self._routes.get(entry["name"], metadata["namespace"]) for entry in http.get("refs") or []]
            return [route for route in named if route is not None]
        try:
            return [await self._owned.apply(service, HTTP_ROUTES, children.route(service, spec))]
        except ApiStatusError as error:
            conditions.false("HTTPRoutesReady", "HTTPRouteReconcileError", f"Failed to reconcile HTTPRoute: {error}")
            raise

    def _judge_gateways(self, service: Object, router: Object, conditions: Conditions, *, stopped: bool) -> None:
        references = (router.get("gateway") or {}).get("refs") or []
        if stopped:
            conditions.false("GatewaysReady", *_STOPPED)
            return
        if not references:
            conditions.clear("GatewaysReady")
            return
        namespace = service["metadata"]["namespace"]
        keys = [(entry.get("namespace") or namespace, entry["name"]) for entry in references]
        waiting = [f"{where}/{name}" for where, name in keys if not _is(self._gateways.get(name, where), "Programmed")]
        if waiting:
            text = f"The following Gateways are not ready: [{' '.join(waiting)}]"
            conditions.false("GatewaysReady", "GatewaysNotReady", text)
        else:
            conditions.true("GatewaysReady")

    def _judge_routes(self, routes: list[Object], conditions: Conditions, *, stopped: bool) -> None:
        if stopped:
            conditions.false("HTTPRoutesReady", *_STOPPED)
            return
        waiting = []
        for route in routes:
            parents = (route.get("status") or {}).get("parents") or []
            if not parents or not all(_is({"status": parent}, "Accepted") for parent in parents):
                waiting.append(f"{route['metadata']['namespace']}/{route['metadata']['name']}")
        if waiting:
            text = f"The following HTTPRoutes are not ready: [{' '.join(waiting)}]"
            conditions.false("HTTPRoutesReady", "HTTPRoutesNotReady", text)
        else:
            conditions.true("HTTPRoutesReady")

    def _addresses(self, routes: list[Object]) -> Object:
        """Where the gateways of the routes serve the paths of the routes."""
        urls: list[str] = []
        for route in routes:
            rules = route["spec"].get("rules") or [{}]
            matches = rules[0].get("matches") or [{}]
            path = (matches[0].get("path") or {}).get("value", "/").rstrip("/")
            for parent in route["spec"].get("parentRefs") or []:
                where = parent.get("namespace") or route["metadata"]["namespace"]
                gateway = self._gateways.get(parent["name"], where)
                hosts = route["spec"].get("hostnames") or [
                    entry["value"] for entry in ((gateway or {}).get("status") or {}).get("addresses") or []
                ]
                urls += [f"http://{host}{path}" for host in hosts]
        urls = sorted(set(urls))
        return {"addresses": [{"url": url} for url in urls], **({"url": urls[0]} if urls else {})}


def _is(obj: Object | None, kind: str) -> bool:
    conditions = ((obj or {}).get("status") or {}).get("conditions") or []
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)
