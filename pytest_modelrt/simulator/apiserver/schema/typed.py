"""Decoding as Go does it for typed kinds: a value of the wrong JSON type is a bad request."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.errors import StatusError, bad_request
from pytest_modelrt.simulator.apiserver.schema.validate import validate
from pytest_modelrt.simulator.apiserver.values import JSON

_JSON_NAMES = {"integer": "number", "boolean": "bool"}
_GO_NAMES = {"integer": "int32", "boolean": "bool"}


def check_types(value: Any, schema: JSON, kind: str, version: str, path: str = "") -> None:
    """Raise 400 for the first value of a wrong type; missing and extra fields are not looked at."""
    for cause in validate(value, schema, path):
        if cause.reason == "FieldValueTypeInvalid":
            raise decode_error(kind, version, cause.field, *_types_in(cause.message))


def _types_in(message: str) -> tuple[str, str]:
    found = message.rpartition('"')[0].rpartition('"')[2]
    wanted = message.partition("must be of type ")[2].partition(":")[0]
    return _JSON_NAMES.get(found, found), _GO_NAMES.get(wanted, wanted)


def decode_error(kind: str, version: str, field: str, found: str, wanted: str) -> StatusError:
    """400: ``field`` holds JSON of type ``found`` where Go wants ``wanted``."""
    return bad_request(
        f'{kind} in version "{version}" cannot be handled as a {kind}: json: cannot unmarshal {found} '
        f"into Go struct field {kind}.{field} of type {wanted}"
    )
