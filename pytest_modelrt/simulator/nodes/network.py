"""The pod network: pods have made-up addresses; what listens in them listens on a local port."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable

from pytest_modelrt.simulator.client import Object

FindService = Callable[[str, str], "Object | None"]
"""Service by namespace and name."""
FindPods = Callable[[str], "Iterable[Object]"]
"""Pods of a namespace."""


class Network:
    """Knows which local port stands for which port of which pod."""

    def __init__(self) -> None:
        self._ports: dict[tuple[str, str], dict[int, int]] = {}
        self._pods: dict[str, tuple[str, str]] = {}
        self._meetings: dict[str, tuple[set[int], asyncio.Event]] = {}
        self._counter = itertools.count(2)
        self._find_service: FindService = lambda _namespace, _name: None
        self._find_pods: FindPods = lambda _namespace: ()

    def know_services(self, find_service: FindService, find_pods: FindPods) -> None:
        """Resolve service names with these look-ups."""
        self._find_service = find_service
        self._find_pods = find_pods

    def join(self, namespace: str, pod: str) -> str:
        """Give a pod an address."""
        number = next(self._counter)
        address = f"10.{244 + number // 65536 % 8}.{number // 256 % 256}.{number % 256}"
        self._pods[address] = (namespace, pod)
        return address

    def leave(self, address: str) -> None:
        """The pod is gone, its address leads nowhere."""
        self._pods.pop(address, None)

    def listen(self, namespace: str, pod: str, port: int, local_port: int) -> None:
        """``port`` of the pod is served on ``local_port`` of this machine."""
        self._ports.setdefault((namespace, pod), {})[port] = local_port

    def unlisten(self, namespace: str, pod: str, port: int) -> None:
        """Nobody listens on ``port`` of the pod any more."""
        ports = self._ports.get((namespace, pod), {})
        ports.pop(port, None)
        if not ports:
            self._ports.pop((namespace, pod), None)

    def local_port(self, namespace: str, pod: str, port: int) -> int | None:
        """The local port behind a pod's port; None: connection refused."""
        return self._ports.get((namespace, pod), {}).get(port)

    async def meet(self, key: str, rank: int, size: int) -> None:
        """Wait until all ``size`` ranks of a distributed start have come to ``key``."""
        present, complete = self._meetings.setdefault(key, (set(), asyncio.Event()))
        present.add(rank)
        if len(present) >= size:
            complete.set()
            del self._meetings[key]
        try:
            await complete.wait()
        except asyncio.CancelledError:
            present.discard(rank)
            raise

    def url(self, host: str, port: int) -> str:
        """Base URL for in-cluster ``host:port``, where host is a pod's address or a service's DNS name.

        Raises:
            ConnectionRefusedError: nothing listens there.
        """
        target = self._pods.get(host) or self._behind_service(host, port)
        if target is not None:
            namespace, pod, number = target if len(target) == 3 else (*target, port)
            local = self.local_port(namespace, pod, number)
            if local is not None:
                return f"http://127.0.0.1:{local}"
        raise ConnectionRefusedError(f"connect to {host}:{port}: connection refused")

    def _behind_service(self, host: str, port: int) -> tuple[str, str, int] | None:
        name, _, rest = host.partition(".")
        namespace = rest.partition(".")[0]
        service = self._find_service(namespace, name)
        if service is None:
            return None
        selector = service["spec"].get("selector") or {}
        wanted = next((entry for entry in service["spec"].get("ports") or [] if entry["port"] == port), None)
        if not selector or wanted is None:
            return None
        for pod in self._find_pods(namespace):
            labels = pod["metadata"].get("labels") or {}
            if all(labels.get(key) == value for key, value in selector.items()):
                number = container_port(pod, wanted.get("targetPort", port))
                if number is not None and self.local_port(namespace, pod["metadata"]["name"], number) is not None:
                    return namespace, pod["metadata"]["name"], number
        return None


def container_port(pod: Object, port: int | str) -> int | None:
    """A port of a pod by number or by name."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for container in pod["spec"]["containers"]:
        for entry in container.get("ports") or []:
            if entry.get("name") == port:
                return int(entry["containerPort"])
    return None
