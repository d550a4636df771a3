"""``metadata.managedFields``: who set which field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_modelrt.simulator.apiserver import fieldset
from pytest_modelrt.simulator.apiserver.fieldset import FieldSet
from pytest_modelrt.simulator.apiserver.values import JSON, timestamp


@dataclass(frozen=True, slots=True)
class Manager:
    """One writer of fields. ``operation`` is ``Apply`` or ``Update``."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


def manager_name(field_manager: str, user_agent: str) -> str:
    """The name a write is recorded under: the given one, else the user agent up to the first slash."""
    return (field_manager or user_agent.partition("/")[0] or "unknown")[:128]


def entries(obj: JSON) -> list[JSON]:
    """The managedFields entries of an object."""
    found: list[JSON] = obj["metadata"].get("managedFields") or []
    return found


def manager_of(entry: JSON) -> Manager:
    """Whose entry it is."""
    return Manager(
        str(entry.get("manager", "")),
        str(entry.get("operation", "")),
        str(entry.get("apiVersion", "")),
        str(entry.get("subresource", "")),
    )


def fields_of(entry: JSON) -> FieldSet:
    """The fields of an entry."""
    found: FieldSet = entry.get("fieldsV1") or {}
    return found


def find(obj: JSON, manager: Manager) -> FieldSet:
    """The fields ``manager`` owns."""
    return next((fields_of(entry) for entry in entries(obj) if manager_of(entry) == manager), {})


def _entry(manager: Manager, fields: FieldSet) -> JSON:
    entry: JSON = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": timestamp(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def write(obj: JSON, found: list[JSON]) -> None:
    """Set the entries of an object; none at all when empty."""
    if found:
        obj["metadata"]["managedFields"] = found
    else:
        obj["metadata"].pop("managedFields", None)


def replaced(found: list[JSON], manager: Manager, fields: FieldSet, taken: FieldSet, removed: FieldSet) -> list[JSON]:
    """Entries after ``manager`` came to own exactly ``fields``; others lose what was ``taken`` or ``removed``."""
    result: list[JSON] = []
    seen = False
    for entry in found:
        mine = manager_of(entry) == manager
        before = fields_of(entry)
        after = fields if mine else before
        if not mine and taken:
            after = fieldset.subtract(after, taken)
        if not mine and removed:
            after = fieldset.subtract(after, removed)
        seen = seen or mine
        if after == before:
            result.append(entry)
        elif after:
            result.append({**entry, "fieldsV1": after, "time": timestamp()})
    if not seen and fields:
        result.append(_entry(manager, fields))
    return result


def track_create(obj: JSON, manager: Manager, schema: JSON) -> None:
    """A created object belongs to its creator."""
    fields, _ = fieldset.compare_objects({"metadata": {}}, obj, schema)
    write(obj, [_entry(manager, fields)] if fields else [])


def track_update(old: JSON, new: JSON, manager: Manager, schema: JSON) -> None:
    """A plain update takes over what it changed. ``new`` may bring its own entries (or ``[{}]`` to clear them)."""
    given: Any = new["metadata"].get("managedFields")
    found = entries(old) if given is None else [entry for entry in given if entry.get("manager")]
    changed, removed = fieldset.compare_objects(old, new, schema)
    if changed or removed:
        own = next((fields_of(entry) for entry in found if manager_of(entry) == manager), {})
        own = fieldset.union(fieldset.subtract(own, removed) if removed else own, changed)
        found = replaced(found, manager, own, changed, removed)
    write(new, found)
