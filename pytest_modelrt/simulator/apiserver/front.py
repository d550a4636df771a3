"""The HTTP face: authentication, authorization, faults, routing, and errors as Status objects."""

from __future__ import annotations

import json
import logging
import platform
from dataclasses import dataclass

import yaml
from aiohttp import web

from pytest_modelrt.simulator.apiserver import content, discovery, openapi, paths
from pytest_modelrt.simulator.apiserver.admission import User
from pytest_modelrt.simulator.apiserver.api import Api, answer, verb_of
from pytest_modelrt.simulator.apiserver.auth import Authenticator
from pytest_modelrt.simulator.apiserver.errors import PlainError, StatusError
from pytest_modelrt.simulator.apiserver.faults import ConnectionCut, Faults
from pytest_modelrt.simulator.apiserver.proxy import KubeletProxy
from pytest_modelrt.simulator.apiserver.rbac import Access, Authorizer
from pytest_modelrt.simulator.apiserver.resources import Catalog
from pytest_modelrt.simulator.apiserver.tokens import TokenSigner
from pytest_modelrt.simulator.apiserver.values import JSON, encode

GIT_VERSION = "v1.36.0"

log = logging.getLogger(__name__)

_ROOTS = ("/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version")


@dataclass(frozen=True, slots=True)
class Front:
    """Answers every request of the server."""

    catalog: Catalog
    authenticator: Authenticator
    authorizer: Authorizer
    api: Api
    kubelets: KubeletProxy
    faults: Faults
    documents: discovery.Discovery
    openapi: openapi.OpenApi
    signer: TokenSigner

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        try:
            response = await self._route(request)
        except StatusError as error:
            response = answer(encode(error.body()), error.code, error.headers)
        except PlainError as error:
            return web.Response(text=error.text, status=error.code, content_type="text/plain")
        except ConnectionCut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            text = "an error on the server has prevented the request from succeeding"
            response = answer(encode(StatusError(500, "InternalError", text).body()), 500)
        return _presented(request, response) if isinstance(response, web.Response) else response

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        trimmed = path.rstrip("/") or "/"
        if trimmed in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok", content_type="text/plain")
        if trimmed == "/version":
            return answer(encode(version_info()))
        user = self.authenticator.authenticate(request)
        parts = trimmed.strip("/").split("/")
        if (parts[0] == "api" and len(parts) >= 3) or (parts[0] == "apis" and len(parts) >= 4):
            return await self._resource(request, path, user)
        access = Access(request.method.lower(), path=trimmed)
        self.authorizer.check(user, access)
        self.faults.strike(access, user.name)
        if request.method not in ("GET", "HEAD"):
            raise PlainError
        return self._document(request, trimmed, parts)

    async def _resource(self, request: web.BaseRequest, path: str, user: User) -> web.StreamResponse:
        target = paths.parse(path, self.catalog)
        verb = verb_of(request.method, target, request.query)
        resource = target.resource
        namespace = target.name if resource.storage == ("", "namespaces") else target.namespace
        access = Access(verb, resource.group, resource.plural, target.subresource, namespace, target.name)
        self.authorizer.check(user, access)
        self.faults.strike(access, user.name)
        if self.kubelets.serves(target):
            return await self.kubelets.handle(request, target)
        return await self.api.handle(request, target, verb, user)

    def _document(self, request: web.BaseRequest, path: str, parts: list[str]) -> web.Response:
        if path in ("/api", "/apis"):
            wanted = discovery.aggregated_version(request.headers.get("Accept", ""))
            if wanted:
                body, tag = self.documents.aggregated(path, wanted)
                return _tagged(request, body, tag, discovery.AGGREGATED.format(wanted))
            return _tagged(request, *(self.documents.api() if path == "/api" else self.documents.apis()))
        if parts[0] == "api" and len(parts) == 2:
            return _tagged(request, *self.documents.version("", parts[1]))
        if parts[0] == "apis" and len(parts) == 2:
            return _tagged(request, *self.documents.group(parts[1]))
        if parts[0] == "apis":
            return _tagged(request, *self.documents.version(parts[1], parts[2]))
        if path == "/openapi/v3":
            return answer(self.openapi.index())
        if path.startswith("/openapi/v3/"):
            return answer(self.openapi.document(path.removeprefix("/openapi/v3/")))
        if path == "/openapi/v2":
            return web.Response(body=self.openapi.v2(), headers={"Content-Type": openapi.V2_CONTENT_TYPE})
        if path == "/openid/v1/jwks":
            return answer(encode(self.signer.jwks()))
        if path == "/.well-known/openid-configuration":
            return answer(encode(self._openid(request)))
        if path == "/":
            groups = [f"/apis/{name}" for name in self.catalog.groups() if name]
            return answer(encode({"paths": sorted([*_ROOTS, *groups])}))
        raise PlainError

    def _openid(self, request: web.BaseRequest) -> JSON:
        return {
            "issuer": self.signer.issuer,
            "jwks_uri": f"https://{request.host}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }


def version_info() -> JSON:
    """``/version``."""
    return {
        "major": "1",
        "minor": "36",
        "gitVersion": GIT_VERSION,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "python" + platform.python_version(),
        "compiler": platform.python_implementation().lower(),
        "platform": f"{platform.system().lower()}/{platform.machine().lower()}",
    }


def _tagged(request: web.BaseRequest, body: bytes, tag: str, kind: str = "application/json") -> web.Response:
    """A discovery answer: 304 when the client has it already."""
    headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": "public", "Content-Type": kind}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers)


def _presented(request: web.BaseRequest, response: web.Response) -> web.Response:
    """The answer as YAML or indented JSON where a person asks for it."""
    agent, accept = request.headers.get("User-Agent", ""), request.headers.get("Accept", "")
    readable = agent.startswith("curl/") or "pretty" in request.query
    as_yaml = content.YAML_TYPE in accept and response.status != 406 and content.wants_yaml(accept)
    if not (readable or as_yaml) or response.content_type != "application/json" or not isinstance(response.body, bytes):
        return response
    value = json.loads(response.body)
    if as_yaml:
        response.body = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()
        response.content_type = content.YAML_TYPE
    elif request.query.get("pretty") not in ("false", "0"):
        response.body = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    return response
