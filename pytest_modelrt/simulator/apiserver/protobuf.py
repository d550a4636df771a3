"""Protobuf request bodies of the few kinds kubectl's typed commands send that way."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_modelrt.simulator.apiserver.errors import StatusError, bad_request
from pytest_modelrt.simulator.apiserver.values import JSON

MAGIC = b"k8s\x00"

Field = tuple[str, Any]
"""JSON name and type: ``s`` text, ``i`` integer, ``b`` boolean, ``y`` bytes (base64 in JSON), a message
(mapping), ``[type]`` repeated, ``(type,)`` a map from text."""

Message = Mapping[int, Field]

_OWNER: Message = {1: ("kind", "s"), 3: ("name", "s"), 4: ("uid", "s"), 5: ("apiVersion", "s"), 6: ("controller", "b"),
                   7: ("blockOwnerDeletion", "b")}  # fmt: skip
_META: Message = {
    1: ("name", "s"),
    2: ("generateName", "s"),
    3: ("namespace", "s"),
    5: ("uid", "s"),
    6: ("resourceVersion", "s"),
    7: ("generation", "i"),
    11: ("labels", ("s",)),
    12: ("annotations", ("s",)),
    13: ("ownerReferences", [_OWNER]),
    14: ("finalizers", ["s"]),
}
_LOCAL_REF: Message = {1: ("name", "s")}
_OBJECT_REF: Message = {
    1: ("kind", "s"),
    2: ("namespace", "s"),
    3: ("name", "s"),
    4: ("uid", "s"),
    5: ("apiVersion", "s"),
}
_BOUND: Message = {1: ("kind", "s"), 2: ("apiVersion", "s"), 3: ("name", "s"), 4: ("uID", "s")}
_RESOURCE: Message = {
    1: ("namespace", "s"),
    2: ("verb", "s"),
    3: ("group", "s"),
    4: ("version", "s"),
    5: ("resource", "s"),
    6: ("subresource", "s"),
    7: ("name", "s"),
}
_PATH: Message = {1: ("path", "s"), 2: ("verb", "s")}
_ACCESS: Message = {1: ("resourceAttributes", _RESOURCE), 2: ("nonResourceAttributes", _PATH)}
_RULE: Message = {
    1: ("verbs", ["s"]),
    2: ("apiGroups", ["s"]),
    3: ("resources", ["s"]),
    4: ("resourceNames", ["s"]),
    5: ("nonResourceURLs", ["s"]),
}
_SUBJECT: Message = {1: ("kind", "s"), 2: ("apiGroup", "s"), 3: ("name", "s"), 4: ("namespace", "s")}
_ROLE_REF: Message = {1: ("apiGroup", "s"), 2: ("kind", "s"), 3: ("name", "s")}
_BINDING: Message = {1: ("metadata", _META), 2: ("subjects", [_SUBJECT]), 3: ("roleRef", _ROLE_REF)}

KINDS: Mapping[str, Message] = {
    "Namespace": {1: ("metadata", _META), 2: ("spec", {1: ("finalizers", ["s"])})},
    "ConfigMap": {1: ("metadata", _META), 2: ("data", ("s",)), 3: ("binaryData", ("y",)), 4: ("immutable", "b")},
    "Secret": {
        1: ("metadata", _META),
        2: ("data", ("y",)),
        3: ("type", "s"),
        4: ("stringData", ("s",)),
        5: ("immutable", "b"),
    },
    "ServiceAccount": {
        1: ("metadata", _META),
        2: ("secrets", [_OBJECT_REF]),
        3: ("imagePullSecrets", [_LOCAL_REF]),
        4: ("automountServiceAccountToken", "b"),
    },
    "TokenRequest": {
        1: ("metadata", _META),
        2: ("spec", {1: ("audiences", ["s"]), 3: ("boundObjectRef", _BOUND), 4: ("expirationSeconds", "i")}),
    },
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", _ACCESS)},
    "SelfSubjectRulesReview": {1: ("metadata", _META), 2: ("spec", {1: ("namespace", "s")})},
    "SelfSubjectReview": {1: ("metadata", _META)},
    "Role": {1: ("metadata", _META), 2: ("rules", [_RULE])},
    "ClusterRole": {1: ("metadata", _META), 2: ("rules", [_RULE])},
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "i"),
        2: ("preconditions", {1: ("uid", "s"), 2: ("resourceVersion", "s")}),
        3: ("orphanDependents", "b"),
        4: ("propagationPolicy", "s"),
        5: ("dryRun", ["s"]),
    },
    "Eviction": {
        1: ("metadata", _META),
        2: ("deleteOptions", {1: ("gracePeriodSeconds", "i"), 4: ("propagationPolicy", "s"), 5: ("dryRun", ["s"])}),
    },
}


def decode(body: bytes) -> JSON:
    """The object in a protobuf envelope; 415 for kinds this server reads only as JSON, 400 for broken bytes."""
    if not body.startswith(MAGIC):
        raise bad_request("the body is not in the Kubernetes protobuf envelope")
    try:
        envelope = _message(
            body[len(MAGIC) :], {1: ("type", {1: ("apiVersion", "s"), 2: ("kind", "s")}), 2: ("raw", "r")}
        )
        header = envelope.get("type") or {}
        fields = KINDS.get(header.get("kind", ""))
        if fields is None:
            kind = header.get("kind", "")
            text = f"this server reads {kind} objects only as JSON or YAML: use kubectl apply -f with a manifest"
            raise StatusError(415, "UnsupportedMediaType", text)
        return {**header, **_message(envelope.get("raw", b""), fields)}
    except (IndexError, UnicodeDecodeError) as error:
        raise bad_request(f"cannot decode the protobuf body: {error}") from None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError("truncated field")
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            at += 8 if wire == 1 else 4


def _message(data: bytes, fields: Message) -> JSON:
    result: JSON = {}
    for number, value in _fields(data):
        if number not in fields:
            continue
        name, kind = fields[number]
        if isinstance(kind, list):
            result.setdefault(name, []).append(_value(value, kind[0]))
        elif isinstance(kind, tuple):
            entry = _message(value, {1: ("key", "s"), 2: ("value", kind[0])})
            result.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        else:
            decoded = _value(value, kind)
            # Go writes every non-pointer text field: empty means unset.
            if decoded not in ("", {}):
                result[name] = decoded
    return result


def _value(value: Any, kind: Any) -> Any:
    if isinstance(kind, Mapping):
        return _message(value, kind)
    if kind == "s":
        return value.decode()
    if kind == "y":
        return base64.b64encode(value).decode()
    if kind == "b":
        return bool(value)
    if kind == "i":
        return value - (1 << 64) if value >= 1 << 63 else value
    return value
