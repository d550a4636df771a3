"""From a request body to an object fit for the store: decode, prune, default, validate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.simulator.apiserver import metadata
from pytest_modelrt.simulator.apiserver.admission import SYSTEM, User
from pytest_modelrt.simulator.apiserver.errors import Cause, StatusError, bad_request, go_quote, invalid, required
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.schema.shape import fill_defaults, prune
from pytest_modelrt.simulator.apiserver.schema.typed import check_types
from pytest_modelrt.simulator.apiserver.schema.validate import validate
from pytest_modelrt.simulator.apiserver.values import JSON, copy


@dataclass(slots=True)
class WriteOptions:
    """How to write: for whom, under which manager name, how strictly. ``warnings`` collects what to tell the client."""

    user: User = SYSTEM
    manager: str = "apiserver"
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    """Paths of fields that occurred twice in the body."""


def check_header(raw: Any, resource: Resource) -> JSON:
    """The body as an object of the wanted kind; raises 400."""
    if not isinstance(raw, dict):
        raise bad_request(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {type(raw).__name__} into Go value"
        )
    api_version, kind = raw.get("apiVersion"), raw.get("kind")
    if resource.custom and not kind:
        raise bad_request(f"Object 'Kind' is missing in '{go_quote(raw)}'")
    if resource.custom and not api_version:
        raise bad_request(f"Object 'apiVersion' is missing in '{go_quote(raw)}'")
    if api_version and api_version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind and kind != resource.kind:
        raise bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: no kind "{kind}" is '
            f'registered for version "{resource.api_version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
        )
    return raw


def decode(raw: Any, resource: Resource, options: WriteOptions, *, patch: Any = None) -> JSON:
    """A private, pruned copy of a body. Unknown fields are refused, warned about or ignored as the options say.

    ``patch`` is given when the object results from a patch: strict findings are then about the patch.
    """
    raw = check_header(raw, resource)
    if resource.strategy.convert_in is not None:
        raw = resource.strategy.convert_in(raw)
    unknown: list[str] = []
    body: JSON = prune(raw, resource.schema, "", unknown, header=True) if resource.schema else copy(raw)
    found = metadata.decode(raw, resource, unknown)
    for key in ("apiVersion", "kind", "metadata"):
        body.pop(key, None)
    problems = [f'duplicate field "{path}"' for path in options.duplicates]
    problems += [f'unknown field "{path}"' for path in sorted(set(unknown))]
    if problems and options.field_validation == "Strict":
        raise _strict_error(resource, problems, patch)
    if problems and options.field_validation == "Warn":
        options.warnings.extend(problems)
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": found, **body}


def _strict_error(resource: Resource, problems: list[str], patch: Any) -> StatusError:
    text = "strict decoding error: " + ", ".join(problems)
    if patch is not None:
        cause = Cause("FieldValueInvalid", f"Invalid value: {go_quote(go_quote(patch))}: {text}", "patch")
        error = invalid("", "", [cause])
        error.message = error.args[0]
        return error
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {text}'
    )


def default(obj: JSON, resource: Resource, old: JSON | None = None) -> None:
    """Fill in schema defaults, then the kind's own; raises 400 when a typed kind has a field of the wrong type."""
    if resource.schema:
        fill_defaults(obj, resource.schema)
        if not resource.custom:
            check_types(obj, resource.schema, resource.kind, resource.version)
    if old is not None:
        resource.strategy.carry(obj, old)
    resource.strategy.default(obj)


def check(obj: JSON, old: JSON | None, resource: Resource) -> None:
    """Everything validation has to say, about the schema first; raises 422."""
    causes = metadata.validate(obj["metadata"], None if old is None else old["metadata"], resource)
    if resource.schema:
        causes += validate({key: value for key, value in obj.items() if key != "metadata"}, _bare(resource))
    if not causes:
        causes += resource.strategy.validate(obj, old)
    if causes:
        unique = list({(cause.field, cause.message): cause for cause in causes}.values())
        raise invalid(resource.kind_group, obj["metadata"]["name"], unique)


def _bare(resource: Resource) -> JSON:
    """The schema without what it says about metadata: that is checked as typed metadata."""
    if "metadata" not in (resource.schema.get("required") or ()):
        return resource.schema
    return {**resource.schema, "required": [key for key in resource.schema["required"] if key != "metadata"]}


def require_version(resource: Resource, name: str) -> StatusError:
    """422: this kind is only replaced with the resourceVersion that was read."""
    cause = Cause("FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion")
    return invalid(resource.kind_group, name, [cause])


def require_manager() -> StatusError:
    """422: apply needs a field manager."""
    cause = required("fieldManager", "is required for apply patch")
    return invalid("PatchOptions.meta.k8s.io", "", [cause])
