"""Content negotiation: which form an answer takes, and what a request body holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pytest_modelrt.simulator.apiserver import protobuf
from pytest_modelrt.simulator.apiserver.errors import StatusError, bad_request, unsupported_media_type
from pytest_modelrt.simulator.apiserver.forms import Form, ObjectForm, PartialForm, TableForm
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.values import JSON

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
BODY_TYPES = (JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE)


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an Accept header."""

    type: str
    parameters: Mapping[str, str]


def parse_accept(header: str) -> list[MediaRange]:
    """The entries in order; an empty header accepts anything."""
    ranges = []
    for part in header.split(","):
        kind, *rest = (item.strip() for item in part.split(";"))
        if kind:
            pairs = (item.partition("=") for item in rest)
            ranges.append(MediaRange(kind.lower(), {key.strip(): value.strip() for key, _, value in pairs}))
    return ranges or [MediaRange("*/*", {})]


def not_acceptable() -> StatusError:
    """406."""
    text = "only the following media types are accepted: application/json, application/yaml"
    return StatusError(406, "NotAcceptable", text)


def wants_yaml(header: str) -> bool:
    """Whether YAML comes before JSON in what the client accepts; raises 406 when neither is there."""
    for entry in parse_accept(header):
        if entry.type in (JSON_TYPE, "*/*", "application/*"):
            return False
        if entry.type == YAML_TYPE:
            return True
    raise not_acceptable()


def choose_form(header: str, resource: Resource, query: Mapping[str, str]) -> Form:
    """The first acceptable form; raises 406 when there is none."""
    for entry in parse_accept(header):
        if entry.type not in (JSON_TYPE, YAML_TYPE, "*/*", "application/*"):
            continue
        wanted = entry.parameters.get("as", "")
        if not wanted:
            return ObjectForm(resource)
        if entry.parameters.get("g", "meta.k8s.io") != "meta.k8s.io" or entry.parameters.get("v", "v1") != "v1":
            continue
        if wanted == "Table":
            return TableForm(resource, query.get("includeObject") or "Metadata")
        if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return PartialForm()
    raise not_acceptable()


def decode_body(body: bytes, content_type: str) -> tuple[Any, list[str]]:
    """The body's value, and the paths of fields that occur twice in it; raises 400 and 415."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", JSON_TYPE) or kind.endswith("+json"):
        return decode_json(body)
    if kind in (YAML_TYPE, "application/apply-patch+yaml"):
        return decode_yaml(body), []
    if kind == PROTOBUF_TYPE:
        return protobuf.decode(body), []
    raise unsupported_media_type(BODY_TYPES)


def decode_json(body: bytes) -> tuple[Any, list[str]]:
    """A JSON value and its duplicate fields; raises 400."""
    repeated: list[tuple[JSON, str]] = []

    def build(pairs: list[tuple[str, Any]]) -> JSON:
        result = dict(pairs)
        if len(result) != len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend((result, key) for key in result if keys.count(key) > 1)
        return result

    try:
        value = json.loads(body, object_pairs_hook=build)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    return value, [path for holder, key in repeated for path in _paths_to(value, holder, key)]


def _paths_to(value: Any, holder: JSON, key: str, path: str = "") -> list[str]:
    if value is holder:
        return [f"{path}.{key}" if path else key]
    if isinstance(value, dict):
        return [
            hit
            for name, item in value.items()
            for hit in _paths_to(item, holder, key, f"{path}.{name}" if path else name)
        ]
    if isinstance(value, list):
        return [hit for index, item in enumerate(value) for hit in _paths_to(item, holder, key, f"{path}[{index}]")]
    return []


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: timestamps stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def decode_yaml(body: bytes) -> Any:
    """A YAML (or JSON) value; raises 400."""
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return yaml.load(body, Loader=_Loader)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
