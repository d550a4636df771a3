"""The authenticated wire: the official client reads the kubeconfig and owns the pool, we send plain requests over it.

Only the client's configuration and urllib3 pool are used (certificates, tokens, exec plugins, proxies); its typed
models stay out. Nothing is retried here.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from pytest_modelrt.cluster.kubeconfig import Kubeconfig
from pytest_modelrt.cluster.model import ClusterError, KubeconfigError
from pytest_modelrt.redaction import redact, register_secret

CONNECT_TIMEOUT = 10.0
"""Real seconds; a socket does not care how fast a simulated cluster's clock runs."""
READ_TIMEOUT = 30.0
"""Real seconds without a byte."""
_POOL_SIZE = 32


Query = Mapping[str, str | int | bool | None]
"""Query parameters; ``None`` and empty ones are left out."""


class Unreachable(ClusterError):
    """No HTTP answer: refused, reset, timed out. Worth another try."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the API."""

    method: str
    path: str
    query: Query | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    read_timeout: float = READ_TIMEOUT

    def target(self) -> str:
        """Path and query."""
        given = {key: value for key, value in (self.query or {}).items() if value not in (None, "")}
        pairs = [(key, str(value).lower() if isinstance(value, bool) else value) for key, value in given.items()]
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path


class Connection:
    """One process's way to the API server; thread-safe."""

    def __init__(self, configuration: Any, server: str) -> None:
        from kubernetes.client.rest import RESTClientObject

        self.server = server.rstrip("/")
        self._configuration = configuration
        self._pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        self._lock = threading.Lock()

    @classmethod
    def from_kubeconfig(cls, kubeconfig: Kubeconfig) -> Connection:
        """Load credentials of the chosen context, without contact; raises KubeconfigError."""
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import load_kube_config

        configuration = _configuration()
        files = os.pathsep.join(str(path) for path in kubeconfig.paths)
        where = f"kubeconfig {files}, context {kubeconfig.context!r}"
        try:
            with _complaints() as complaints:
                load_kube_config(files, kubeconfig.context, configuration, persist_config=False)
        except (ConfigException, OSError, ValueError, KeyError, TypeError) as error:
            raise KubeconfigError(f"{where}: {error}") from error
        if not kubeconfig.proxied and _is_loopback(kubeconfig.server):
            configuration.proxy = None  # an HTTPS_PROXY of the environment is not meant for this machine
        connection = cls(configuration, kubeconfig.server)
        if complaints and not (configuration.cert_file or connection.authorization()):
            raise KubeconfigError(f"{where}: no credentials: {' '.join(complaints[-1].split())}")
        try:
            _ = connection.ssl_context
        except OSError as error:
            raise KubeconfigError(f"{where}: its certificates or key cannot be used: {error}") from error
        return connection

    @classmethod
    def in_cluster(cls) -> Connection:
        """Use the pod's service account; raises ClusterError when we do not run in a pod."""
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.incluster_config import load_incluster_config

        configuration = _configuration()
        try:
            load_incluster_config(configuration)
        except (ConfigException, OSError) as error:
            raise ClusterError(f"not running in a pod with a service account: {error}") from error
        return cls(configuration, configuration.host)

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """Send; the answer's body is not read yet. Raises Unreachable; KubeconfigError for an untrusted certificate."""
        headers = {"Accept": request.accept, "User-Agent": "pytest-modelrt", **self.authorization()}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            return self._pool.request(
                request.method,
                self.server + request.target(),
                body=request.body,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=request.read_timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise self._explain(error) from error

    def authorization(self) -> dict[str, str]:
        """The header with the bearer token, refreshed when it is due; empty for client certificates."""
        with self._lock:
            setting = self._configuration.auth_settings().get("BearerToken")
        if not setting or not setting.get("value"):
            return {}
        value = str(setting["value"])
        register_secret(value.partition(" ")[2] or value)
        return {"Authorization": value}

    def websocket_options(self, timeout: float) -> dict[str, Any]:
        """Options for ``websocket.WebSocket.connect``: a connected TLS socket, or the way through a proxy.

        ``timeout``: real seconds to connect. Raises OSError.
        """
        proxy = urlsplit(self._configuration.proxy or "")
        if proxy.hostname:
            kind = "http" if proxy.scheme == "https" else proxy.scheme
            return {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": kind}
        address = urlsplit(self.server)
        host = address.hostname or ""
        raw = socket.create_connection((host, address.port or (443 if address.scheme == "https" else 80)), timeout)
        if address.scheme != "https":
            return {"socket": raw}
        try:
            name = self._configuration.tls_server_name or host
            return {"socket": self.ssl_context.wrap_socket(raw, server_hostname=name)}
        except OSError:
            raw.close()
            raise

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Trust and client certificate of this connection."""
        configuration = self._configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        return context

    def close(self) -> None:
        """Close pooled sockets."""
        self._pool.clear()

    def _explain(self, error: Exception) -> ClusterError:
        text = redact(str(error))
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return KubeconfigError(
                f"{self.server}: its certificate is not signed by the authority in the kubeconfig; "
                "was the cluster recreated? Fetch its kubeconfig again"
            )
        return Unreachable(f"{self.server}: {_reason(error)}")


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What the official client only logs: a login plugin that failed, after which it goes on as nobody."""
    found: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)


def _reason(error: Exception) -> str:
    """The words of the innermost error: ``Connection refused``, not urllib3's stack of wrappers."""
    text = redact(str(error))
    for known in ("Connection refused", "Connection reset", "timed out", "Name or service not known"):
        if known.lower() in text.lower():
            return known.lower()
    return text


def _configuration() -> Any:
    from kubernetes.client.configuration import Configuration

    configuration = Configuration()
    configuration.connection_pool_maxsize = _POOL_SIZE
    return configuration


def _is_loopback(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
