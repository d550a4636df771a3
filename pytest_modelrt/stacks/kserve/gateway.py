"""The way through the gateway: an address that answers, or a port-forward to the gateway's own pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import POD, SERVICE, Object, Ref
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.calls import AUTH_FAILED
from pytest_modelrt.stacks.kserve.waiting import is_true

HOST = "localhost"
"""The one host name the listener takes."""
_POD_LABEL = "gateway.networking.k8s.io/gateway-name"
_TRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the gateway."""

    url: str
    """Base URL; through a port-forward it only names the pod."""
    pod: Ref | None = None
    """The gateway's pod, when it is reached by port-forward."""
    port: int = 80

    def __str__(self) -> str:
        return f"port-forward to {self.pod}" if self.pod else self.url

    def open(self, cluster: Cluster) -> httpx.Client:
        """A client for it; redirects are not followed."""
        transport = None
        if self.pod is not None:
            transport = cluster.tunnel(str(self.pod.namespace), self.pod.name, self.port)
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
        return httpx.Client(
            transport=transport or httpx.HTTPTransport(limits=limits),
            base_url=self.url,
            headers={"Host": HOST},
            trust_env=False,
        )


def find(cluster: Cluster, named: str | None) -> Way | str:
    """The first way that answers as this gateway does; otherwise what was tried.

    Order: the address a person named, the Gateway's own addresses, a port-forward to its pod. An address is only
    believed when ``/v1/models`` is refused there without a token: something else may listen on port 80.
    """
    tried = []
    for way in _ways(cluster, named):
        seen = _look(cluster, way)
        if seen is None:
            return way
        tried.append(f"{way}: {seen}")
        if named:
            break
    return "; ".join(tried) or "the Gateway has neither an address nor a pod"


def _ways(cluster: Cluster, named: str | None) -> Iterator[Way]:
    if named:
        yield Way(named.rstrip("/"))
        return
    gateway = cluster.get(names.THE_GATEWAY) or {}
    service = cluster.get(Ref(SERVICE, f"{names.THE_GATEWAY.name}-istio", names.THE_GATEWAY.namespace)) or {}
    for address in (gateway.get("status") or {}).get("addresses") or []:
        for port in _ports(service):
            yield Way(f"http://{address.get('value')}:{port}")
    if _is_loopback(cluster.info.server):
        yield Way(f"http://{HOST}")  # where Kind's port mapping leads
    for pod in cluster.list(POD, names.THE_GATEWAY.namespace, labels=f"{_POD_LABEL}={names.THE_GATEWAY.name}"):
        if is_true(pod, "Ready"):
            yield Way("http://gateway", Ref(POD, pod["metadata"]["name"], names.THE_GATEWAY.namespace))


def _is_loopback(server: str) -> bool:
    return urlsplit(server).hostname in ("127.0.0.1", "localhost", "::1")


def _ports(service: Object) -> Iterator[int]:
    """The HTTP port, on the service and on the node."""
    for entry in (service.get("spec") or {}).get("ports") or []:
        if entry.get("port") == 80:
            yield from filter(None, (entry.get("nodePort"), 80))


def _look(cluster: Cluster, way: Way) -> str | None:
    """None when this gateway answers there: it refuses us, or says that it cannot authenticate anybody."""
    with way.open(cluster) as client:
        try:
            answer = client.get("/v1/models", timeout=_TRY_SECONDS)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
    own_error = answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and answer.text.strip() == AUTH_FAILED
    return None if answer.status_code == httpx.codes.UNAUTHORIZED or own_error else f"status {answer.status_code}"
