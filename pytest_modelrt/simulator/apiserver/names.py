"""Names, labels and generated names."""

from __future__ import annotations

import random
import re

from pytest_modelrt.simulator.apiserver.errors import Cause, go_quote

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

_LABEL_WHY = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WHY = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE_WHY = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_WHY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def generated(prefix: str) -> str:
    """``prefix`` plus five random characters, never longer than 63."""
    return prefix[:58] + "".join(random.choices(_ALPHABET, k=5))


def _invalid(field: str, value: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {go_quote(value)}: {why}", field)


def check_name(name: str, *, label: bool, path_segment: bool = False) -> list[Cause]:
    """Problems of an object's name: a DNS label, a DNS subdomain, or (roles) anything that fits into a path."""
    field = "metadata.name"
    if path_segment:
        bad = name in (".", "..") or "/" in name or "%" in name
        return [_invalid(field, name, "may not contain '/' or '%', nor be '.' or '..'")] if bad else []
    if label:
        if "." in name:
            return [_invalid(field, name, "must not contain dots")]
        if len(name) > 63:
            return [_invalid(field, name, "must be no more than 63 bytes")]
        return [] if _LABEL.fullmatch(name) else [_invalid(field, name, _LABEL_WHY)]
    if len(name) > 253:
        return [_invalid(field, name, "must be no more than 253 bytes")]
    return [] if _SUBDOMAIN.fullmatch(name) else [_invalid(field, name, _SUBDOMAIN_WHY)]


def check_qualified(key: str, field: str) -> list[Cause]:
    """Problems of a label, annotation or finalizer key: an optional DNS prefix, a slash, a name."""
    prefix, slash, name = key.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > 253):
        return [_invalid(field, key, "prefix part " + _SUBDOMAIN_WHY)]
    if not _QUALIFIED.fullmatch(name):
        return [_invalid(field, key, _QUALIFIED_WHY)]
    if len(name) > 63:
        return [_invalid(field, key, "name part must be no more than 63 bytes")]
    return []


def check_labels(labels: dict[str, str], field: str) -> list[Cause]:
    """Problems of labels."""
    causes: list[Cause] = []
    for key, value in labels.items():
        causes += check_qualified(key, field)
        if len(value) > 63:
            causes.append(_invalid(field, value, "must be no more than 63 bytes"))
        elif value and not _QUALIFIED.fullmatch(value):
            causes.append(_invalid(field, value, _VALUE_WHY))
    return causes
