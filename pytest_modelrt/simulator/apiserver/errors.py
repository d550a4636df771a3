"""Errors as Kubernetes ``Status`` objects, with the texts clients match on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelrt.simulator.apiserver.values import JSON, encode

if TYPE_CHECKING:
    from pytest_modelrt.simulator.apiserver.resources import Resource


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``details.causes``: machine reason, message, and the field it is about."""

    reason: str
    message: str
    field: str


class StatusError(Exception):
    """A request is refused; becomes a ``Status`` body with HTTP status ``code``."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: JSON | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: JSON | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        self.metadata = metadata or {}

    def body(self) -> JSON:
        """The ``Status`` object."""
        status: JSON = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


class PlainError(Exception):
    """An answer outside the API machinery: plain text, as Go's HTTP multiplexer gives for unknown paths."""

    def __init__(self, code: int = 404, text: str = "404 page not found\n") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def details(resource: Resource, name: str = "", *, kind: str | None = None) -> JSON:
    """``Status.details`` for one object: kind is the lower-case plural unless given."""
    found: JSON = {}
    if name:
        found["name"] = name
    if resource.group:
        found["group"] = resource.group
    found["kind"] = kind or resource.plural
    return found


def not_found(resource: Resource, name: str) -> StatusError:
    """404 for a missing object."""
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', details(resource, name))


def unknown_resource() -> StatusError:
    """404 for a plural that no built-in group serves."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> StatusError:
    """409 on create."""
    return StatusError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    """409 for a stale resourceVersion."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    text = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", text, details(resource, name))


def uid_conflict(resource: Resource, name: str, wanted: str, found: str) -> StatusError:
    """409 for a failed UID precondition of a deletion."""
    why = (
        f"the UID in the precondition ({wanted}) does not match the UID in record ({found}). "
        "The object might have been deleted and then recreated"
    )
    text = f'Operation cannot be fulfilled on {resource.kind_group} "{name}": {why}'
    return StatusError(409, "Conflict", text, details(resource, name, kind=resource.kind))


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def method_not_allowed() -> StatusError:
    """405 for a verb the resource does not serve."""
    text = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", text, {})


def invalid(kind_group: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """422 with causes. ``kind_group`` is ``Kind.group``, just ``Kind`` for the core group."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    kind, _, group = kind_group.partition(".")
    found: JSON = {"name": name} if name else {}
    if group:
        found["group"] = group
    found["kind"] = kind
    found["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return StatusError(422, "Invalid", f'{kind_group} "{name}" is invalid: {joined}', found)


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> StatusError:
    """403 about one object."""
    found = details(resource, name)
    if causes:
        found["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {why}", found)


def expired(message: str, *, continue_token: str = "") -> StatusError:
    """410: the wanted resourceVersion is no longer kept."""
    return StatusError(410, "Expired", message, metadata={"continue": continue_token} if continue_token else {})


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415."""
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", text)


def required(field: str, extra: str = "") -> Cause:
    """A missing value."""
    return Cause("FieldValueRequired", "Required value" + (f": {extra}" if extra else ""), field)


def invalid_value(field: str, value: Any, why: str) -> Cause:
    """A value that is not acceptable."""
    return Cause("FieldValueInvalid", f"Invalid value: {go_quote(value)}: {why}", field)


def not_supported(field: str, value: Any, allowed: Sequence[Any]) -> Cause:
    """A value outside an enumeration."""
    choices = ", ".join(go_quote(item) for item in allowed)
    return Cause("FieldValueNotSupported", f"Unsupported value: {go_quote(value)}: supported values: {choices}", field)


def forbidden_field(field: str, why: str) -> Cause:
    """A field that may not be set or changed."""
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def go_quote(value: Any) -> str:
    """A value as Go's error texts print it: strings quoted, other values as JSON."""
    return encode(value).decode()
