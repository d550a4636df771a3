"""The overlay as objects, read without kustomize: our kustomizations only list ``resources``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pytest_modelrt.cluster.model import Object

_ALLOWED = {"apiVersion", "kind", "resources"}
_FIRST = ("Namespace", "ServiceAccount", "ClusterRole", "Role")
_LAST = ("LLMInferenceService", "HTTPRoute")
"""Behind what they refer to: the order of creation is that of need."""


class OverlayError(Exception):
    """The overlay cannot be read; names file and field."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The platform and its test models."""

    platform: tuple[Object, ...]
    models: dict[str, tuple[Object, ...]]
    """Model -> its objects."""

    @property
    def objects(self) -> tuple[Object, ...]:
        """Everything, in the order it should be created."""
        return in_order([*self.platform, *(obj for objects in self.models.values() for obj in objects)])

    @classmethod
    def load(cls, directory: Path) -> Overlay:
        """Read ``config/kind``.

        Raises:
            OverlayError: a file is missing, is no YAML, or uses more of kustomize than ``resources``.
        """
        models = {
            path.name: tuple(read(path))
            for path in sorted((directory / "test-models").iterdir())
            if (path / "kustomization.yaml").is_file()
        }
        return cls(tuple(read(directory / "platform")), models)


def read(path: Path) -> Iterator[Object]:
    """The objects of a manifest, or of a directory with a ``kustomization.yaml``."""
    if path.is_dir():
        kustomization = path / "kustomization.yaml"
        content = _documents(kustomization)[0]
        unknown = set(content) - _ALLOWED
        if unknown:
            raise OverlayError(f"{kustomization}: {', '.join(sorted(unknown))}: only resources are understood here")
        for entry in content.get("resources") or []:
            yield from read(path / entry)
    else:
        yield from _documents(path)


def in_order(objects: list[Object]) -> tuple[Object, ...]:
    """Namespaces and accounts first, models and their routes last; otherwise as given."""

    def rank(obj: Object) -> int:
        kind = obj["kind"]
        if kind in _FIRST:
            return _FIRST.index(kind)
        return len(_FIRST) + 1 + _LAST.index(kind) if kind in _LAST else len(_FIRST)

    return tuple(sorted(objects, key=rank))


def renamed(objects: tuple[Object, ...], old: str, new: str) -> tuple[Object, ...]:
    """A copy of a model under another name: every mention of the name is replaced."""
    copies: list[Object] = json.loads(json.dumps(objects).replace(old, new))
    return tuple(copies)


def pick(objects: tuple[Object, ...], kind: str) -> Object:
    """The object of a kind; raises OverlayError when there is none."""
    for obj in objects:
        if obj["kind"] == kind:
            return obj
    raise OverlayError(f"the model has no {kind}")


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    except OSError as error:
        raise OverlayError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise OverlayError(f"{path}: {' '.join(str(error).split())}") from error
