"""The four patch types, by Content-Type."""

from __future__ import annotations

import json
from typing import Any

from pytest_modelrt.simulator.apiserver import apply, metadata, patches, pipeline
from pytest_modelrt.simulator.apiserver.content import decode_yaml
from pytest_modelrt.simulator.apiserver.errors import (
    StatusError,
    bad_request,
    forbidden_field,
    invalid,
    unsupported_media_type,
)
from pytest_modelrt.simulator.apiserver.fieldset import with_metadata
from pytest_modelrt.simulator.apiserver.managed import Manager
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.schema.shape import prune
from pytest_modelrt.simulator.apiserver.store import Snapshot
from pytest_modelrt.simulator.apiserver.strategic import strategic_patch
from pytest_modelrt.simulator.apiserver.values import JSON, copy
from pytest_modelrt.simulator.apiserver.writer import Writer

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def accepted_types(resource: Resource) -> tuple[str, ...]:
    """The patch types a resource takes; strategic only where the merge rules are compiled in."""
    return (JSON_PATCH, MERGE_PATCH, *(() if resource.custom else (STRATEGIC_PATCH,)), APPLY_PATCH)


async def patch_object(
    writer: Writer,
    resource: Resource,
    namespace: str,
    name: str,
    body: bytes,
    content_type: str,
    options: WriteOptions,
    *,
    subresource: str = "",
    field_manager: str = "",
    force: bool | None = None,
) -> tuple[Snapshot, bool]:
    """Patch one object; returns it and whether it was created. Raises 400, 404, 409, 415, 422."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in accepted_types(resource):
        raise unsupported_media_type(accepted_types(resource))
    if kind == APPLY_PATCH:
        return await _apply(writer, resource, namespace, name, body, options, subresource, field_manager, bool(force))
    if force is not None:
        cause = forbidden_field("force", "may not be specified for non-apply patch")
        raise invalid("PatchOptions.meta.k8s.io", "", [cause])
    patch = _decode(body)
    if kind != JSON_PATCH and not isinstance(patch, dict):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    schema = with_metadata(resource.schema)

    def change(old: JSON) -> JSON:
        base = resource.strategy.convert_out(old) if resource.strategy.convert_out else old
        base = {**base, "apiVersion": resource.api_version}
        if kind == JSON_PATCH:
            changed = patches.json_patch(base, patch)
        elif kind == MERGE_PATCH:
            changed = patches.merge_patch(base, patch)
        else:
            changed = strategic_patch(base, patch, schema)
        if not isinstance(changed, dict):
            raise bad_request("error decoding patch: the patched document is not an object")
        return changed

    snapshot = await writer.update(resource, namespace, name, change, options, subresource=subresource, patch=patch)
    return snapshot, False


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from None


async def _apply(
    writer: Writer,
    resource: Resource,
    namespace: str,
    name: str,
    body: bytes,
    options: WriteOptions,
    subresource: str,
    field_manager: str,
    force: bool,
) -> tuple[Snapshot, bool]:
    if not field_manager:
        raise pipeline.require_manager()
    config = decode_yaml(body)
    _check_config(config, resource, namespace, name)
    manager = Manager(field_manager, "Apply", resource.api_version, subresource)
    schema = with_metadata(resource.schema)
    _check_schema(config, resource, namespace, name)
    config = _resettable(config, resource, subresource)

    def change(live: JSON) -> JSON:
        base = {**live, "apiVersion": resource.api_version}
        return apply.apply_object(base, config, manager, schema, force=force)

    try:
        return await writer.update(
            resource, namespace, name, change, options, subresource=subresource, manager=manager
        ), False
    except StatusError as error:
        if error.code != 404 or subresource or config["metadata"].get("uid"):
            raise
    empty: JSON = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
    fresh = pipeline.decode(apply.apply_object(empty, config, manager, schema, force=True), resource, options)
    return await writer.create_decoded(resource, namespace, fresh, options, manager), True


def _check_config(config: Any, resource: Resource, namespace: str, name: str) -> None:
    config = pipeline.check_header(config, resource)
    if not config.get("apiVersion") or not config.get("kind"):
        raise bad_request("invalid object type: apiVersion and kind must be set in an apply patch")
    metadata.decode(config, resource, [])
    meta = config.get("metadata") or {}
    if meta.get("name", name) != name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    if resource.namespaced and meta.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if meta.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")


def _check_schema(config: JSON, resource: Resource, namespace: str, name: str) -> None:
    body = {key: value for key, value in config.items() if key not in ("apiVersion", "kind", "metadata")}
    problems = apply.check_declared(body, {"type": "object", **resource.schema})
    if problems:
        where = f"{namespace}/{name}" if resource.namespaced else f"/{name}"
        listed = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems)
        text = f"failed to create typed patch object ({where}; {resource.api_version}, Kind={resource.kind}): {listed}"
        raise StatusError(500, "", text)


def _resettable(config: JSON, resource: Resource, subresource: str) -> JSON:
    """A configuration in stored form, only what this path may set: status on ``/status``, the rest elsewhere."""
    config = prune(config, resource.schema, "", [], header=True) if resource.schema else copy(config)
    if config.get("metadata") is None:
        config["metadata"] = {}
    if subresource == "status":
        kept: JSON = {key: config[key] for key in ("apiVersion", "kind", "status") if key in config}
        meta = config.get("metadata") or {}
        return {**kept, "metadata": {key: meta[key] for key in ("name", "namespace", "resourceVersion") if key in meta}}
    if resource.has_status:
        config.pop("status", None)
    return config


def patched_scale(scale: JSON, body: bytes, content_type: str) -> JSON:
    """A Scale after a merge, strategic or JSON patch; raises 400, 415, 422."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise unsupported_media_type((JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH))
    patch = _decode(body)
    changed: JSON = patches.json_patch(scale, patch) if kind == JSON_PATCH else patches.merge_patch(scale, patch)
    return changed
