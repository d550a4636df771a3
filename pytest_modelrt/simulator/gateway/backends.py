"""From a route's backendRefs to a ready pod."""

from __future__ import annotations

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.gateway.routing import Entry
from pytest_modelrt.simulator.nodes.network import Network
from pytest_modelrt.simulator.resources import ENDPOINT_SLICES, SERVICES

_SERVICE_LABEL = "kubernetes.io/service-name"
_INDEX = "service"


class NoBackendError(Exception):
    """Nobody can answer; ``status`` and ``text`` are what the proxy says instead."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Backends:
    """Knows Services and their endpoints from the API; ``start`` the platform's informers after making one."""

    def __init__(self, platform: Platform, network: Network) -> None:
        self._network = network
        self._services = platform.informers.of(SERVICES)
        self._slices = platform.informers.of(ENDPOINT_SLICES)
        if not self._slices.has_index(_INDEX):
            self._slices.add_index(_INDEX, _service_of)

    def choose(self, entry: Entry, turn: int) -> str:
        """Base URL of a pod behind the entry's rule, by weight and in turn.

        Raises:
            NoBackendError: no backend, an unknown one, or none that is ready.
        """
        references = [ref for ref in entry.rule.get("backendRefs") or [] for _ in range(int(ref.get("weight", 1)))]
        if not references:
            raise NoBackendError(500, "")
        reference = references[turn % len(references)]
        namespace = reference.get("namespace") or entry.route["metadata"]["namespace"]
        service = self._services.get(reference["name"], namespace)
        port = next(
            (
                item
                for item in (service or {}).get("spec", {}).get("ports") or []
                if item["port"] == reference.get("port")
            ),
            None,
        )
        if service is None or port is None or reference.get("kind", "Service") != "Service":
            raise NoBackendError(500, "")
        addresses = self._ready(namespace, reference["name"], port)
        if not addresses:
            raise NoBackendError(503, "no healthy upstream")
        address, number = addresses[turn % len(addresses)]
        try:
            return self._network.url(address, number)
        except ConnectionRefusedError:
            text = (
                "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
                "remote connection failure, transport failure reason: delayed connect error: Connection refused"
            )
            raise NoBackendError(503, text) from None

    def _ready(self, namespace: str, name: str, port: Object) -> list[tuple[str, int]]:
        found = []
        for endpoints in self._slices.indexed(_INDEX, (namespace, name)):
            number = next(
                (item["port"] for item in endpoints.get("ports") or [] if item.get("name", "") == port.get("name", "")),
                None,
            )
            for endpoint in endpoints.get("endpoints") or []:
                if number is not None and (endpoint.get("conditions") or {}).get("ready"):
                    found += [(address, number) for address in endpoint["addresses"]]
        return sorted(found)


def _service_of(endpoints: Object) -> tuple[tuple[str, str], ...]:
    metadata = endpoints["metadata"]
    name = (metadata.get("labels") or {}).get(_SERVICE_LABEL)
    return ((metadata["namespace"], name),) if name else ()
