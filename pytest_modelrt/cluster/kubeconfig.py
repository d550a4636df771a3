"""Which cluster: the kubeconfig files a person named, the context in them, and whether it is a simulated one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pytest_modelrt.clock import SIMULATOR_EXTENSION
from pytest_modelrt.cluster.model import ClusterTarget, KubeconfigError
from pytest_modelrt.redaction import register_secrets_in

VARIABLE = "KUBECONFIG"
_HOW = "name an existing file with --modelrt-kubeconfig or KUBECONFIG"


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """A context chosen from one or several kubeconfig files."""

    paths: tuple[Path, ...]
    context: str
    server: str
    proxied: bool
    """The cluster entry names a proxy."""
    speed: float
    """Cluster seconds per real second, 1 unless simulated."""
    simulator: Path | None
    """Directory of the simulator behind it; ``None`` for a real cluster."""


def is_named(target: ClusterTarget, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a person named a cluster at all; a ``~/.kube/config`` that merely exists is not a name."""
    named_in_environment = any(environ.get(VARIABLE, "").split(os.pathsep))
    return bool(target.kubeconfig or target.context or target.in_cluster or named_in_environment)


def resolve(target: ClusterTarget, environ: Mapping[str, str] = os.environ) -> Kubeconfig:
    """Read the files and choose the context; raises KubeconfigError with one line that says what to do."""
    paths = _paths(target, environ)
    entries: dict[str, dict[str, Mapping[str, Any]]] = {"contexts": {}, "clusters": {}, "users": {}}
    current = ""
    for path in paths:
        document = _read(path)
        current = current or str(document.get("current-context") or "")
        register_secrets_in(document)
        for section, known in entries.items():
            for name, entry in _named(document, section, path):
                known.setdefault(name, entry)
    where = ", ".join(str(path) for path in paths)
    context = target.context or current
    if not context:
        raise KubeconfigError(f"kubeconfig {where}: no current-context; name one with --modelrt-context")
    if context not in entries["contexts"]:
        known_contexts = ", ".join(sorted(entries["contexts"])) or "none"
        raise KubeconfigError(f"kubeconfig {where}: no context {context!r}; it has: {known_contexts}")
    cluster = _follow(entries, context, where)
    speed, directory = _simulator(cluster, where)
    return Kubeconfig(paths, context, str(cluster["server"]), bool(cluster.get("proxy-url")), speed, directory)


def _paths(target: ClusterTarget, environ: Mapping[str, str]) -> tuple[Path, ...]:
    if target.kubeconfig is not None:
        path = target.kubeconfig.expanduser()
        if not path.is_file():
            raise KubeconfigError(f"kubeconfig {path} not found; {_HOW}")
        return (path,)
    listed = [Path(item).expanduser() for item in environ.get(VARIABLE, "").split(os.pathsep) if item]
    if listed:
        found = tuple(path for path in listed if path.is_file())  # kubectl skips missing ones too
        if not found:
            raise KubeconfigError(f"kubeconfig {', '.join(map(str, listed))} not found; {_HOW}")
        return found
    default = Path("~/.kube/config").expanduser()
    if target.context and default.is_file():
        return (default,)
    raise KubeconfigError(f"no cluster named; {_HOW}")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"kubeconfig {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise KubeconfigError(f"kubeconfig {path}{line}: {problem}; it must be a YAML file of kind Config") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {path}: empty or not a mapping; it must be a YAML file of kind Config")
    return document


def _named(document: Mapping[str, Any], section: str, path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    items = document.get(section) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) and "name" in item for item in items):
        raise KubeconfigError(f"kubeconfig {path}: {section} must be a list of entries with a name")
    return [(str(item["name"]), item.get(section[:-1]) or {}) for item in items]


def _follow(entries: Mapping[str, Mapping[str, Mapping[str, Any]]], context: str, where: str) -> Mapping[str, Any]:
    chosen = entries["contexts"][context]
    name = str(chosen.get("cluster", ""))
    cluster = entries["clusters"].get(name)
    if cluster is None or not cluster.get("server"):
        raise KubeconfigError(
            f"kubeconfig {where}: context {context!r} points to cluster {name!r}, which has no server"
        )
    user = str(chosen.get("user", ""))
    if user and user not in entries["users"]:
        raise KubeconfigError(f"kubeconfig {where}: context {context!r} points to user {user!r}, which is not there")
    return cluster


def _simulator(cluster: Mapping[str, Any], where: str) -> tuple[float, Path | None]:
    for item in cluster.get("extensions") or []:
        if isinstance(item, dict) and item.get("name") == SIMULATOR_EXTENSION:
            extension = item.get("extension") or {}
            try:
                speed = float(extension.get("speed", 1))
            except (TypeError, ValueError):
                speed = 0.0
            if speed <= 0:
                raise KubeconfigError(
                    f"kubeconfig {where}: extension {SIMULATOR_EXTENSION}: speed must be a number > 0"
                )
            return speed, Path(str(extension.get("directory", "")))
    return 1.0, None
