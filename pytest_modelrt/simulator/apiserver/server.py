"""The server as others see it: configuration, start and stop, credentials, kubeconfig."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from pytest_modelrt.clock import SIMULATOR_EXTENSION
from pytest_modelrt.simulator.apiserver import rbac
from pytest_modelrt.simulator.apiserver.admission import Admission
from pytest_modelrt.simulator.apiserver.api import Api
from pytest_modelrt.simulator.apiserver.auth import Authenticator
from pytest_modelrt.simulator.apiserver.crds import CrdController
from pytest_modelrt.simulator.apiserver.deletion import DeleteOptions, Deleter
from pytest_modelrt.simulator.apiserver.discovery import Discovery
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.faults import Faults
from pytest_modelrt.simulator.apiserver.front import Front
from pytest_modelrt.simulator.apiserver.housekeeping import ALL, Housekeeping
from pytest_modelrt.simulator.apiserver.kinds.catalog import builtin_resources
from pytest_modelrt.simulator.apiserver.openapi import OpenApi
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.pki import Authority, kubelet_context
from pytest_modelrt.simulator.apiserver.proxy import KubeletProxy
from pytest_modelrt.simulator.apiserver.rbac import Authorizer
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource
from pytest_modelrt.simulator.apiserver.reviews import Reviews
from pytest_modelrt.simulator.apiserver.store import Store
from pytest_modelrt.simulator.apiserver.tokens import TokenSigner
from pytest_modelrt.simulator.apiserver.values import JSON
from pytest_modelrt.simulator.apiserver.watch import Watches
from pytest_modelrt.simulator.apiserver.writer import Writer

ADMIN = "admin"
_BODY_LIMIT = 3 * 1024 * 1024
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True)
class ServerConfig:
    """How to run the server. ``directory`` receives the kubeconfig and the CA certificate."""

    directory: Path
    speed: float = 1.0
    crds: Sequence[JSON] = ()
    admission: Sequence[Admission] = ()
    host: str = "127.0.0.1"
    port: int = 0
    watch_window: int = 1000
    kubeconfig_extension: JSON | None = None
    housekeeping: frozenset[str] = field(default=ALL)
    """The controller jobs to run in process; see :mod:`.housekeeping`."""


class ApiServer:
    """A Kubernetes API server in this event loop."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.authority = Authority()
        self.store = Store(config.watch_window)
        self.catalog = Catalog(builtin_resources())
        self.faults = Faults()
        self.watches = Watches()
        self.writer = Writer(self.store, self.catalog, config.admission)
        self.deleter = Deleter(self.writer, config.speed)
        signer = TokenSigner(self.authority.signing_key)
        self.authenticator = Authenticator(self.store, signer)
        self.authorizer = Authorizer(self.store)
        reviews = Reviews(self.store, signer, self.authenticator, self.authorizer, config.speed)
        self.api = Api(self.writer, self.deleter, reviews, self.watches)
        self._kubelets = KubeletProxy(self.store, kubelet_context())
        self._crds = CrdController(self.store, self.catalog, self.watches.end)
        self._crds.delete_instances = self._delete_all
        self.housekeeping = Housekeeping(
            self.store, self.catalog, self.writer, self.deleter, config.housekeeping, config.speed, self.ca_pem
        )
        self._front = Front(
            self.catalog,
            self.authenticator,
            self.authorizer,
            self.api,
            self._kubelets,
            self.faults,
            Discovery(self.catalog),
            OpenApi(self.catalog),
            signer,
        )
        self._runner: web.ServerRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"https://{self.config.host}:{self._port}"

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the cluster's authority."""
        return self.authority.ca_pem

    def issue_certificate(self, *names: str) -> tuple[bytes, bytes]:
        """A serving certificate for DNS names or addresses: (certificate chain, key), both PEM."""
        return self.authority.issue(*names)

    def issue_client_certificate(self, user: str, group: str = "") -> tuple[bytes, bytes]:
        """A client certificate for a user: (certificate chain, key), both PEM."""
        return self.authority.issue(user=user, group=group)

    def token(self, component: str, groups: tuple[str, ...] = ("system:masters",)) -> str:
        """A bearer token that authenticates as ``component`` while the server runs."""
        return self.authenticator.issue(component, groups)

    async def start(self) -> None:
        """Listen; definitions and default objects are there before the first request is answered."""
        self.housekeeping.start()
        await self._seed()
        loop = asyncio.get_running_loop()

        def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_BODY_LIMIT)

        server = web.Server(
            self._front.handle, request_factory=make, handler_cancellation=True, access_log=None, keepalive_timeout=600
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        tls = self.authority.server_context(self.config.host, "localhost", "kubernetes.default.svc")
        site = web.TCPSite(self._runner, self.config.host, self.config.port, ssl_context=tls, backlog=512)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.config.directory.mkdir(parents=True, exist_ok=True)
        (self.config.directory / "ca.crt").write_bytes(self.ca_pem)

    async def stop(self) -> None:
        """End watches, close connections, stop jobs."""
        self.watches.end()
        await self.housekeeping.stop()
        await self._kubelets.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _seed(self) -> None:
        options = WriteOptions(manager="kube-apiserver")
        for name in _NAMESPACES:
            await self._ensure("", "v1", "namespaces", "", {"metadata": {"name": name}}, options)
        for role in rbac.default_roles():
            await self._ensure("rbac.authorization.k8s.io", "v1", "clusterroles", "", role, options)
        port = {"name": "https", "port": 443, "targetPort": 6443}
        service = {
            "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"ports": [port], "clusterIP": "10.96.0.1"},
        }
        await self._ensure("", "v1", "services", "default", service, options)
        for crd in self.config.crds:
            await self._ensure("apiextensions.k8s.io", "v1", "customresourcedefinitions", "", crd, options)

    async def _ensure(
        self, group: str, version: str, plural: str, namespace: str, obj: JSON, options: WriteOptions
    ) -> None:
        resource = self.catalog.find(group, version, plural)
        if resource is None:
            raise LookupError(plural)
        try:
            await self.writer.create(resource, namespace, obj, options)
        except StatusError as error:
            if error.code != 409:
                raise ValueError(f"{plural} {obj['metadata'].get('name')}: {error.message}") from error

    async def _delete_all(self, resource: Resource) -> None:
        """Delete every instance of a resource, as its definition goes away."""
        for namespace, name in list(self.store.collection(resource.storage).objects):
            try:
                await self.deleter.delete(resource, namespace, name, DeleteOptions(), WriteOptions())
            except StatusError as error:
                if error.code != 404:
                    raise

    def write_kubeconfig(self, path: Path, user: str = ADMIN) -> Path:
        """A kubeconfig, readable only by its owner, for ``user`` (an administrator)."""
        cluster: JSON = {"server": self.url, "certificate-authority-data": base64.b64encode(self.ca_pem).decode()}
        if self.config.kubeconfig_extension is not None:
            named = {"name": SIMULATOR_EXTENSION, "extension": self.config.kubeconfig_extension}
            cluster["extensions"] = [named]
        name = "modelrt-sim"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".new")
        # JSON is YAML, and needs no second library to be read by anybody.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
        temporary.replace(path)
        return path
