"""The programs of Istio's pods: ``istiod`` looks after Gateways and HTTPRoutes, the proxy serves them."""

from __future__ import annotations

import aiohttp

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.bootstrap import ensure
from pytest_modelrt.simulator.controllers.kserve.install import GATEWAY_CONTROLLER, PROXY
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting, owner_reference
from pytest_modelrt.simulator.gateway import routing
from pytest_modelrt.simulator.gateway.backends import Backends
from pytest_modelrt.simulator.gateway.conditions import condition, holds, timed
from pytest_modelrt.simulator.gateway.mesh import Mesh
from pytest_modelrt.simulator.gateway.proxy import Proxy, serve_forever
from pytest_modelrt.simulator.nodes.programs import ProgramContext
from pytest_modelrt.simulator.resources import (
    DEPLOYMENTS,
    GATEWAY_CLASSES,
    GATEWAYS,
    HTTP_ROUTES,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from pytest_modelrt.simulator.workqueue import WorkQueue

GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
_CLASS_LABEL = "gateway.networking.k8s.io/gateway-class-name"
_TYPE_ANNOTATION = "networking.istio.io/service-type"
_HTTP_PORT = 80
_HOST = "127.0.0.1"
_SUPPORTED_KINDS = [
    {"group": routing.GROUP, "kind": "HTTPRoute"},
    {"group": routing.GROUP, "kind": "GRPCRoute"},
]


class Istiod:
    """Runs a proxy for every Gateway of Istio's class and says in the objects how things stand."""

    def __init__(self, platform: Platform, mesh: Mesh) -> None:
        self._client = platform.client.as_component("istiod")
        self._mesh = mesh
        self._classes = platform.informers.of(GATEWAY_CLASSES)
        self._gateways = platform.informers.of(GATEWAYS)
        self._routes = platform.informers.of(HTTP_ROUTES)
        self._services = platform.informers.of(SERVICES)
        self._deployments = platform.informers.of(DEPLOYMENTS)
        self._queue: WorkQueue[str] = WorkQueue("istiod", self._reconcile, platform.clock)
        for informer in (self._classes, self._gateways, self._routes):
            informer.on_change(lambda *_: self._queue.add("all"))
        for informer in (self._services, self._deployments):
            informer.on_change(self._on_other)

    async def program(self, context: ProgramContext) -> int:
        """Run in the container of ``istiod`` until it is stopped."""
        context.log("info\tStarting gateway controller")
        self._queue.add("all")
        await self._queue.run()
        return 0

    def _on_other(self, *_: object) -> None:
        if self._gateways.cache:
            self._queue.add("all")

    async def _reconcile(self, _key: str) -> None:
        for each in list(self._classes.cache.values()):
            if each["spec"]["controllerName"] == GATEWAY_CONTROLLER:
                generation = each["metadata"]["generation"]
                wanted = [condition("Accepted", True, "Accepted", "Handled by Istio controller", generation)]
                await self._write(GATEWAY_CLASSES, each, {"conditions": wanted})
        gateways = [gateway for gateway in self._gateways.cache.values() if self._is_ours(gateway)]
        for gateway in gateways:
            await self._reconcile_gateway(gateway)
        for route in list(self._routes.cache.values()):
            await self._reconcile_route(route, gateways)

    def _is_ours(self, gateway: Object) -> bool:
        known = self._classes.get(gateway["spec"]["gatewayClassName"])
        return known is not None and known["spec"]["controllerName"] == GATEWAY_CONTROLLER and not is_deleting(gateway)

    # --- Gateways

    async def _reconcile_gateway(self, gateway: Object) -> None:
        name, namespace = proxy_name(gateway), gateway["metadata"]["namespace"]
        deployment, service = self._deployments.get(name, namespace), self._services.get(name, namespace)
        metadata = _metadata(gateway)
        await ensure(self._client, SERVICE_ACCOUNTS, {"metadata": metadata}) if deployment is None else None
        if service is None:
            await ensure(self._client, SERVICES, self._service(gateway, metadata))
        if deployment is None:
            await ensure(self._client, DEPLOYMENTS, _deployment(gateway, metadata))
        generation = gateway["metadata"]["generation"]
        running = holds(deployment, "Available")
        accepted = condition("Accepted", True, "Accepted", "Resource accepted", generation)
        if running:
            text = f"Resource programmed, assigned to service(s) {name}.{namespace}.svc.cluster.local:{_HTTP_PORT}"
            programmed = condition("Programmed", True, "Programmed", text, generation)
        else:
            text = f"Assigned to service(s) {name}.{namespace}.svc.cluster.local:{_HTTP_PORT}, but no pod is ready"
            programmed = condition("Programmed", False, "AddressNotUsable", text, generation)
        known = {entry["name"]: entry for entry in (gateway.get("status") or {}).get("listeners") or []}
        listeners = [
            self._listener(gateway, listener, known.get(listener["name"]) or {}, running=running)
            for listener in gateway["spec"]["listeners"]
        ]
        fresh: Object = {"conditions": [accepted, programmed], "listeners": listeners}
        if running:
            fresh["addresses"] = [{"type": "IPAddress", "value": _HOST}]
        await self._write(GATEWAYS, gateway, fresh)

    def _listener(self, gateway: Object, listener: Object, known: Object, *, running: bool) -> Object:
        generation = gateway["metadata"]["generation"]
        served = listener["protocol"] in ("HTTP", "HTTPS")
        count = sum(self._attaches(gateway, listener, route) for route in self._routes.cache.values())
        resolved = condition("ResolvedRefs", True, "ResolvedRefs", "No errors found", generation)
        if listener["protocol"] == "HTTPS":
            text = "certificates are not part of this simulator: HTTPS listeners serve nothing"
            resolved = condition("ResolvedRefs", False, "InvalidCertificateRef", text, generation)
        wanted = [
            condition(
                "Accepted", served, "Accepted" if served else "UnsupportedProtocol", "No errors found", generation
            ),
            condition("Conflicted", False, "NoConflicts", "No errors found", generation),
            condition(
                "Programmed", running and served, "Programmed" if running else "Pending", "No errors found", generation
            ),
            resolved,
        ]
        return {
            "name": listener["name"],
            "attachedRoutes": count,
            "conditions": timed(wanted, known.get("conditions")),
            "supportedKinds": _SUPPORTED_KINDS,
        }

    def _attaches(self, gateway: Object, listener: Object, route: Object) -> bool:
        return routing.listener_hostnames(route, listener) is not None and any(
            routing.is_parent(parent, route, gateway) and routing.takes(listener, parent, route, gateway, {})
            for parent in route["spec"].get("parentRefs") or []
        )

    def _service(self, gateway: Object, metadata: Object) -> Object:
        """The Service in front of the proxy; the first gateway's HTTP NodePort is our port on this machine."""
        kind = (gateway["metadata"].get("annotations") or {}).get(_TYPE_ANNOTATION, "LoadBalancer")
        ports: list[Object] = [{"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"}]
        for number in dict.fromkeys(listener["port"] for listener in gateway["spec"]["listeners"]):
            scheme = next(entry for entry in gateway["spec"]["listeners"] if entry["port"] == number)[
                "protocol"
            ].lower()
            port = {"name": scheme, "port": number, "targetPort": number, "protocol": "TCP", "appProtocol": scheme}
            if number == _HTTP_PORT and kind != "ClusterIP" and self._holds_host_port(gateway):
                port["nodePort"] = self._mesh.host_port.port
            ports.append(port)
        return {"metadata": metadata, "spec": {"type": kind, "ports": ports, "selector": _selector(gateway)}}

    def _holds_host_port(self, gateway: Object) -> bool:
        ours = [entry for entry in self._gateways.cache.values() if self._is_ours(entry)]
        return min(ours, key=lambda entry: entry["metadata"]["creationTimestamp"]) is gateway

    # --- HTTPRoutes

    async def _reconcile_route(self, route: Object, gateways: list[Object]) -> None:
        status = route.get("status") or {}
        foreign = [entry for entry in status.get("parents") or [] if entry["controllerName"] != GATEWAY_CONTROLLER]
        known = {
            _parent_key(entry["parentRef"], route): entry
            for entry in status.get("parents") or []
            if entry["controllerName"] == GATEWAY_CONTROLLER
        }
        parents = []
        for parent in route["spec"].get("parentRefs") or []:
            gateway = next((entry for entry in gateways if routing.is_parent(parent, route, entry)), None)
            if gateway is None:
                continue
            before = known.get(_parent_key(parent, route)) or {}
            wanted = [self._accepted(route, parent, gateway), self._resolved(route)]
            parents.append(
                {
                    "parentRef": parent,
                    "controllerName": GATEWAY_CONTROLLER,
                    "conditions": timed(wanted, before.get("conditions")),
                }
            )
        await self._write(HTTP_ROUTES, route, {"parents": [*foreign, *parents]})

    def _accepted(self, route: Object, parent: Object, gateway: Object) -> Object:
        generation = route["metadata"]["generation"]
        listeners = gateway["spec"]["listeners"]
        sections = [
            entry
            for entry in listeners
            if parent.get("sectionName") in (None, "", entry["name"]) and parent.get("port") in (None, entry["port"])
        ]
        taking = [entry for entry in sections if routing.takes(entry, parent, route, gateway, {})]
        names = [name for entry in taking if (name := routing.listener_hostnames(route, entry)) is not None]
        if names:
            return condition("Accepted", True, "Accepted", "Route was valid", generation)
        if not sections:
            text = f"sectionName {parent.get('sectionName')!r} not found"
            return condition("Accepted", False, "NoMatchingParent", text, generation)
        if not taking:
            where = route["metadata"]["namespace"]
            text = f'namespace "{where}" is not allowed by the parent'
            return condition("Accepted", False, "NotAllowedByListeners", text, generation)
        text = "no hostnames matched parent hostname"
        return condition("Accepted", False, "NoMatchingListenerHostname", text, generation)

    def _resolved(self, route: Object) -> Object:
        generation, own = route["metadata"]["generation"], route["metadata"]["namespace"]
        for rule in route["spec"].get("rules") or []:
            for reference in rule.get("backendRefs") or []:
                where = reference.get("namespace") or own
                if where != own:
                    text = f'backendRef {reference["name"]}/{where} not accessible to a route in namespace "{own}"'
                    return condition("ResolvedRefs", False, "RefNotPermitted", text, generation)
                if self._services.get(reference["name"], where) is None:
                    text = f"backend({reference['name']}.{where}.svc.cluster.local) not found"
                    return condition("ResolvedRefs", False, "BackendNotFound", text, generation)
        return condition("ResolvedRefs", True, "ResolvedRefs", "All references resolved", generation)

    async def _write(self, resource: Resource, obj: Object, fresh: Object) -> None:
        """Write what differs of a status."""
        metadata, old = obj["metadata"], obj.get("status") or {}
        if "conditions" in fresh:
            fresh["conditions"] = timed(fresh["conditions"], old.get("conditions"))
        if all(old.get(name, []) == value for name, value in fresh.items()):
            return
        try:
            await self._client.patch_status(resource, metadata["name"], fresh, metadata.get("namespace"))
        except ApiStatusError as error:
            if not error.not_found:
                raise


class Proxies:
    """The program of proxies: each serves the Gateway its pod is labelled with."""

    def __init__(self, platform: Platform, mesh: Mesh) -> None:
        self._platform = platform
        self._mesh = mesh

    async def program(self, context: ProgramContext) -> int:
        """Serve in a container until it is stopped."""
        key = (context.namespace, context.labels.get(GATEWAY_LABEL, ""))
        informers = self._platform.informers
        backends = Backends(self._platform, context.network)
        await informers.start()
        gateways, routes = informers.of(GATEWAYS), informers.of(HTTP_ROUTES)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)
        ) as session:
            proxy = Proxy(context, self._mesh, backends, session)

            def learn(*_: object) -> None:
                gateway = gateways.cache.get(key)
                if gateway is not None:
                    proxy.gateway = gateway
                    proxy.table = routing.Table(routing.attached(gateway, routes.cache.values(), {}))

            stops = [informer.on_change(learn) for informer in (gateways, routes)]
            try:
                await serve_forever(context, proxy, self._mesh)
            finally:
                for stop in stops:
                    stop()
        return 0


def proxy_name(gateway: Object) -> str:
    """Name of a gateway's Deployment, Service and account."""
    return f"{gateway['metadata']['name']}-{gateway['spec']['gatewayClassName']}"


def _selector(gateway: Object) -> dict[str, str]:
    return {GATEWAY_LABEL: gateway["metadata"]["name"]}


def _metadata(gateway: Object) -> Object:
    labels = {**_selector(gateway), _CLASS_LABEL: gateway["spec"]["gatewayClassName"]}
    labels["gateway.istio.io/managed"] = "istio.io-gateway-controller"
    return {
        "name": proxy_name(gateway),
        "namespace": gateway["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(gateway, controller=False)],
    }


def _deployment(gateway: Object, metadata: Object) -> Object:
    container = {
        "name": "istio-proxy",
        "image": PROXY,
        "ports": [{"containerPort": 15021, "name": "status-port", "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": 15021},
            "periodSeconds": 15,
            "failureThreshold": 4,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    spec = {"serviceAccountName": metadata["name"], "containers": [container]}
    template = {"metadata": {"labels": metadata["labels"]}, "spec": spec}
    return {"metadata": metadata, "spec": {"selector": {"matchLabels": _selector(gateway)}, "template": template}}


def _parent_key(parent: Object, route: Object) -> tuple[str, str, str, int]:
    where = parent.get("namespace") or route["metadata"]["namespace"]
    return where, parent["name"], parent.get("sectionName") or "", parent.get("port") or 0
