"""The verbs on resources: from an authenticated request to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from pytest_modelrt.simulator.apiserver import content, deletion, managed, patching, reader, subresources
from pytest_modelrt.simulator.apiserver.admission import User
from pytest_modelrt.simulator.apiserver.deletion import DeleteOptions, Deleter
from pytest_modelrt.simulator.apiserver.errors import (
    PlainError,
    bad_request,
    details,
    invalid,
    method_not_allowed,
    not_supported,
    unknown_resource,
)
from pytest_modelrt.simulator.apiserver.forms import ObjectForm
from pytest_modelrt.simulator.apiserver.paths import Target
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.reader import truthy
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.reviews import Reviews
from pytest_modelrt.simulator.apiserver.store import Snapshot
from pytest_modelrt.simulator.apiserver.values import JSON, encode
from pytest_modelrt.simulator.apiserver.watch import BOOKMARK_INTERVAL, DEFAULT_TIMEOUT, Watch, Watches
from pytest_modelrt.simulator.apiserver.writer import Writer

HEADERS = {"Cache-Control": "no-cache, private"}
_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(method: str, target: Target, query: Mapping[str, str]) -> str:
    """The API verb of a request."""
    if method in ("GET", "HEAD"):
        if target.name:
            return "get"
        return "watch" if truthy(query.get("watch")) else "list"
    if method == "DELETE" and not target.name:
        return "deletecollection"
    return _WRITES.get(method, "")


def answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=body, status=status, headers={**HEADERS, **(headers or {})}, content_type="application/json"
    )


class Api:
    """Reads, watches and writes resources."""

    def __init__(self, writer: Writer, deleter: Deleter, reviews: Reviews, watches: Watches) -> None:
        self.writer = writer
        self.deleter = deleter
        self.reviews = reviews
        self.watches = watches
        self.store = writer.store

    async def handle(self, request: web.BaseRequest, target: Target, verb: str, user: User) -> web.StreamResponse:
        """Answer a request on a resource; raises StatusError."""
        resource, query = target.resource, request.query
        if target.subresource:
            return await self._subresource(request, target, verb, user)
        if verb not in resource.verbs or (verb == "create" and target.name):
            raise method_not_allowed()
        if verb == "watch":
            return await self._watch(request, target)
        form = content.choose_form(request.headers.get("Accept", ""), resource, query)
        if verb == "get":
            version = reader.parse_version(query.get("resourceVersion", ""))
            if version and version > self.store.revision:
                await reader.wait_for_version(self.store, version)
            return answer(form.one(self.writer.find(resource, target.namespace, target.name)))
        if verb == "list":
            wanted = reader.selection(resource, target.namespace, query)
            page = await reader.read_page(self.store, resource, wanted, query)
            return answer(form.many(page.items, page.meta))
        options = self._options(request, user)
        if verb == "create":
            return await self._create(request, target, options, user)
        if verb == "update":
            return await self._update(request, target, options, "")
        if verb == "patch":
            return await self._patch(request, target, options, "")
        if verb == "delete":
            return await self._delete(request, target, options)
        return await self._delete_collection(request, target, options)

    def _options(self, request: web.BaseRequest, user: User) -> WriteOptions:
        query = request.query
        validation = query.get("fieldValidation") or "Warn"
        if validation not in ("Strict", "Warn", "Ignore"):
            cause = not_supported("fieldValidation", validation, ["", "Ignore", "Strict", "Warn"])
            raise invalid("CreateOptions.meta.k8s.io", "", [cause])
        manager = managed.manager_name(query.get("fieldManager", ""), request.headers.get("User-Agent", ""))
        return WriteOptions(user, manager, deletion.dry_run(query.getall("dryRun", [])), validation)

    async def _body(self, request: web.BaseRequest, options: WriteOptions) -> Any:
        body, options.duplicates = content.decode_body(await request.read(), request.headers.get("Content-Type", ""))
        return body

    def _written(
        self, request: web.BaseRequest, resource: Resource, snapshot: Snapshot, options: WriteOptions, status: int
    ) -> web.Response:
        form = content.choose_form(request.headers.get("Accept", ""), resource, request.query)
        response = answer(form.one(snapshot), status)
        for text in options.warnings:
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{escaped}"')
        return response

    async def _create(
        self, request: web.BaseRequest, target: Target, options: WriteOptions, user: User
    ) -> web.Response:
        body = await self._body(request, options)
        resource, namespace = target.resource, target.namespace
        if "get" not in resource.verbs:
            return answer(encode(self.reviews.review(resource, namespace, body, user)), 201)
        if resource.namespaced and not namespace:
            raise method_not_allowed()
        snapshot = await self.writer.create(resource, namespace, body, options)
        return self._written(request, resource, snapshot, options, 201)

    async def _update(self, request: web.BaseRequest, target: Target, options: WriteOptions, sub: str) -> web.Response:
        body = await self._body(request, options)
        if not isinstance(body, dict):
            raise bad_request("the body of the request is not an object")
        meta = body.get("metadata")
        name = meta.get("name") if isinstance(meta, dict) else None
        if name and name != target.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
        snapshot = await self.writer.update(
            target.resource,
            target.namespace,
            target.name,
            lambda _old: body,
            options,
            subresource=sub,
            replace=True,
        )
        return self._written(request, target.resource, snapshot, options, 200)

    async def _patch(self, request: web.BaseRequest, target: Target, options: WriteOptions, sub: str) -> web.Response:
        force = request.query.get("force")
        snapshot, created = await patching.patch_object(
            self.writer,
            target.resource,
            target.namespace,
            target.name,
            await request.read(),
            request.headers.get("Content-Type", ""),
            options,
            subresource=sub,
            field_manager=request.query.get("fieldManager", ""),
            force=None if force is None else truthy(force),
        )
        return self._written(request, target.resource, snapshot, options, 201 if created else 200)

    async def _delete_options(self, request: web.BaseRequest, options: WriteOptions) -> DeleteOptions:
        raw = await request.read()
        body = content.decode_body(raw, request.headers.get("Content-Type", ""))[0] if raw else {}
        if isinstance(body, dict) and body.get("dryRun"):
            options.dry_run = deletion.dry_run(list(body["dryRun"]))
        return DeleteOptions.parse(body, dict(request.query))

    async def _delete(self, request: web.BaseRequest, target: Target, options: WriteOptions) -> web.Response:
        resource = target.resource
        wish = await self._delete_options(request, options)
        snapshot, gone = await self.deleter.delete(resource, target.namespace, target.name, wish, options)
        if not gone or resource.strategy.answers_deleted_object:
            form = content.choose_form(request.headers.get("Accept", ""), resource, request.query)
            return answer(form.one(snapshot))
        found: JSON = {**details(resource, target.name), "uid": snapshot.object["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": found}
        return answer(encode(status))

    async def _delete_collection(self, request: web.BaseRequest, target: Target, options: WriteOptions) -> web.Response:
        resource = target.resource
        wish = await self._delete_options(request, options)
        wanted = reader.selection(resource, target.namespace, request.query)
        page = await reader.read_page(self.store, resource, wanted, {})
        deleted = []
        for snapshot in page.items:
            if self.store.get(resource.storage, *snapshot.key) is None:
                continue
            namespace, name = snapshot.key
            deleted.append((await self.deleter.delete(resource, namespace, name, wish, options))[0])
        return answer(ObjectForm(resource).many(deleted, {"resourceVersion": str(self.store.revision)}))

    async def _subresource(self, request: web.BaseRequest, target: Target, verb: str, user: User) -> web.StreamResponse:
        resource, sub = target.resource, target.resource.subresource(target.subresource)
        if sub is None:
            raise _unknown_subresource(resource)
        if verb not in sub.verbs:
            raise method_not_allowed()
        options = self._options(request, user)
        if sub.name in ("status", "ephemeralcontainers"):
            path = "status" if sub.name == "status" else ""
            if verb == "get":
                form = content.choose_form(request.headers.get("Accept", ""), resource, request.query)
                return answer(form.one(self.writer.find(resource, target.namespace, target.name)))
            write = self._update if verb == "update" else self._patch
            return await write(request, target, options, path)
        if sub.name == "scale":
            return await self._scale(request, target, verb, options)
        body = await self._body(request, options)
        if sub.name == "token":
            issued = self.reviews.issue_token(resource, target.namespace, target.name, body)
            return answer(encode(issued), 201)
        if sub.name == "binding":
            bound = await subresources.bind_pod(self.writer, resource, target.namespace, target.name, body)
            return answer(encode(bound), 201)
        if sub.name == "eviction":
            evicted = await subresources.evict_pod(self.deleter, resource, target.namespace, target.name, body, options)
            return answer(encode(evicted), 201)
        snapshot = subresources.finalize_namespace(self.writer, resource, target.name, body)
        return answer(ObjectForm(resource).one(snapshot))

    async def _scale(self, request: web.BaseRequest, target: Target, verb: str, options: WriteOptions) -> web.Response:
        resource = target.resource
        if verb == "get":
            found = self.writer.find(resource, target.namespace, target.name).object
            return answer(encode(subresources.scale_of(resource, found)))
        raw, kind = await request.read(), request.headers.get("Content-Type", "")

        def change(old: JSON) -> JSON:
            if verb == "update":
                scale: Any = content.decode_body(raw, kind)[0]
            else:
                scale = patching.patched_scale(subresources.scale_of(resource, old), raw, kind)
            return subresources.rescaled(resource, old, scale)

        snapshot = await self.writer.update(resource, target.namespace, target.name, change, options)
        return answer(encode(subresources.scale_of(resource, snapshot.object)))

    async def _watch(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        resource, query = target.resource, request.query
        reader.check_match(query, watch=True)
        wanted = reader.selection(resource, target.namespace, query)
        form = content.choose_form(request.headers.get("Accept", ""), resource, query)
        watch = Watch(self.store, resource, wanted, form)
        watch.open(query)
        self.watches.add(watch)
        try:
            response = web.StreamResponse(headers={**HEADERS, "Content-Type": "application/json"})
            response.enable_chunked_encoding()
            with suppress(ConnectionResetError):  # the watcher hung up, as watchers do
                await response.prepare(request)
                await self._stream(response, watch, query)
                await response.write_eof()
        finally:
            watch.close()
            self.watches.remove(watch)
        return response

    async def _stream(self, response: web.StreamResponse, watch: Watch, query: Mapping[str, str]) -> None:
        loop = asyncio.get_running_loop()
        bookmarks = truthy(query.get("allowWatchBookmarks"))
        seconds = query.get("timeoutSeconds", "")
        ends = loop.time() + (float(seconds) if seconds.isdigit() and int(seconds) else DEFAULT_TIMEOUT)
        while not watch.ended:
            remaining = ends - loop.time()
            if remaining <= 0:
                break
            lines = await watch.next(min(BOOKMARK_INTERVAL, remaining))
            if lines:
                await response.write(lines)
            elif bookmarks and not watch.ended:
                await response.write(watch.bookmark())


def _unknown_subresource(resource: Resource) -> Exception:
    return PlainError() if resource.custom else unknown_resource()
