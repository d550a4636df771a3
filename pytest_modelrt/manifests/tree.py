"""A config tree: finds objects by kind and name wherever they are kept, and reads no more files than it must."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from yaml import Node, YAMLError

from pytest_modelrt.manifests.objects import Object, construct, mapping
from pytest_modelrt.manifests.scaffold import model_path, runtime_path, service_path
from pytest_modelrt.plan.document import MAX_BYTES, compose, line_of
from pytest_modelrt.plan.load import display, read_text
from pytest_modelrt.plan.model import Case
from pytest_modelrt.plan.problems import ConfigError, Problem
from pytest_modelrt.redaction import register_secrets_in

MODEL_KINDS = ("ClusterBaseModel", "BaseModel")
RUNTIME_KINDS = ("ClusterServingRuntime", "ServingRuntime")
SERVICE_KINDS = ("InferenceService",)
KINDS = (*MODEL_KINDS, *RUNTIME_KINDS, *SERVICE_KINDS)

_DOCUMENT_END = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_VALUE = r"[ \t]*[\"']?([^\s\"'#{}]+)"
_GAP = r"[^\S\n]*(?:#[^\n]*)?\n(?:[^\S\n]*(?:#[^\n]*)?\n)*"
_KIND = re.compile(rf"^kind:{_VALUE}", re.MULTILINE)
_NAME = re.compile(rf"^metadata:{_GAP} +name:{_VALUE}", re.MULTILINE)
_URI = re.compile(rf"^ +storageUri:{_VALUE}", re.MULTILINE)
_MODEL_OF = re.compile(rf"^ +model:{_GAP} +name:{_VALUE}", re.MULTILINE)


@dataclass(frozen=True)
class ManifestFile:
    """One object and the file it stands in."""

    path: Path
    document: int
    """Place among the file's documents, from 0; empty ones are not counted."""
    text: str
    """The whole file, line ends as they are."""

    @property
    def line(self) -> int:
        """Line of the object's first field, from 1."""
        return line_of(self.node)

    @cached_property
    def node(self) -> Node:
        """The object's document, composed.

        Raises:
            ConfigError: the file is not YAML.
        """
        return compose(self.text, display(self.path))[self.document]

    @cached_property
    def object(self) -> Object:
        """The object as Kubernetes would see it.

        Raises:
            ConfigError: the file is not YAML, or the document no object.
        """
        try:
            value = construct(self.node)
        except YAMLError as error:
            what = f"not a Kubernetes object: {getattr(error, 'problem', error)}"
            raise ConfigError([Problem(display(self.path), self.line, "", what, "write plain YAML")]) from None
        if not isinstance(value, dict):
            raise ConfigError([Problem(display(self.path), self.line, "", "not a Kubernetes object", "write fields")])
        register_secrets_in(value)
        return value

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return str(mapping(self.object, "metadata").get("name", ""))

    @property
    def own_text(self) -> str:
        """The object's document alone; the whole file where it is the only one."""
        parts = _documents(self.text)
        return parts[self.document] if len(parts) > 1 else self.text

    def place(self, root: Path) -> str:
        """The file from the root of its tree: where the tree lies on a machine is nobody's business."""
        return self.path.relative_to(root).as_posix() if self.path.is_relative_to(root) else display(self.path)

    def with_text(self, text: str) -> ManifestFile:
        """The same object in an edited text."""
        return replace(self, text=text)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a scan learns about an object without parsing it."""

    kind: str
    name: str
    path: Path
    document: int
    refers_to: str
    """A model's storage URI; the model a service names; empty for runtimes."""


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The three objects of a case; None where the tree has none."""

    model: ManifestFile | None
    runtime: ManifestFile | None
    service: ManifestFile | None


class ConfigTree:
    """Objects of a directory by kind and name; where a name occurs twice, the first file in path order counts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def load(cls, config_dir: str | Path) -> ConfigTree:
        """The tree below ``config_dir``. Nothing is read yet.

        Raises:
            ConfigError: no such directory.
        """
        root = Path(config_dir)
        if not root.is_dir():
            raise ConfigError([Problem(display(root), 0, "", "no such directory", "name a config tree")])
        return cls(root)

    def model(self, name: str) -> ManifestFile | None:
        """The model of that name."""
        return self._find(MODEL_KINDS, name)

    def runtime(self, name: str) -> ManifestFile | None:
        """The runtime of that name."""
        return self._find(RUNTIME_KINDS, name)

    def service(self, name: str) -> ManifestFile | None:
        """The InferenceService of that name, else the first that serves a model of that name."""
        found = self._find(SERVICE_KINDS, name)
        return found or next((self._open(entry) for entry in self._of(SERVICE_KINDS) if entry.refers_to == name), None)

    def case(self, case: Case) -> CaseFiles:
        """The objects of a case: in their usual files, else wherever the tree keeps them.

        The runtime is the one the service names; the plan's name counts where there is no service, or one without a
        runtime.
        """
        model = self._usual(model_path(case), MODEL_KINDS, case.resource_name) or self.model(case.resource_name)
        if model is None:
            uri = f"hf://{case.hub_id}"
            entries = (entry for entry in self._of(MODEL_KINDS) if entry.refers_to == uri)
            model = next((self._open(entry) for entry in entries), None)
        name = model.name if model is not None else case.resource_name
        service = self._usual(service_path(case), SERVICE_KINDS, name) or self.service(name)
        return CaseFiles(model, self._runtime_for(case, service), service)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every object of the platform's kinds, in path order."""
        return tuple(entry for path in self.files() for entry in _scan(path))

    def files(self) -> Iterator[Path]:
        """All YAML files in path order, hidden directories left out."""
        if self.root.is_file():
            yield self.root
            return
        for directory, names, files in os.walk(self.root):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                if name.endswith((".yaml", ".yml")):
                    yield Path(directory, name)

    def open(self, entry: Entry) -> ManifestFile:
        """The object of a scan entry."""
        return self._open(entry)

    def _runtime_for(self, case: Case, service: ManifestFile | None) -> ManifestFile | None:
        spec = mapping(service.object, "spec") if service is not None else {}
        name = str(mapping(spec, "runtime").get("name") or case.runtime_name)
        return self._usual(runtime_path(case), RUNTIME_KINDS, name) or self.runtime(name)

    def _usual(self, place: PurePosixPath, kinds: tuple[str, ...], name: str) -> ManifestFile | None:
        path = self.root / place
        if not path.is_file():
            return None
        wanted = (entry for entry in _scan(path) if entry.kind in kinds and entry.name == name)
        return next((self._open(entry) for entry in wanted), None)

    def _find(self, kinds: tuple[str, ...], name: str) -> ManifestFile | None:
        return next((self._open(entry) for entry in self._of(kinds) if entry.name == name), None)

    def _of(self, kinds: tuple[str, ...]) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.kind in kinds)

    def _open(self, entry: Entry) -> ManifestFile:
        return ManifestFile(entry.path, entry.document, read_text(entry.path))


def _scan(path: Path) -> Iterator[Entry]:
    """The objects of a file by pattern; a file that is no readable text has none (``modelrt check`` says why)."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if not any(kind in text for kind in KINDS):
        return
    for document, part in enumerate(_documents(text)):
        kind = _KIND.search(part)
        if kind is None or kind[1] in KINDS:
            yield from _match(part, kind, path, document) or _parse(path, text, document)


def _documents(text: str) -> list[str]:
    """The documents of a file that hold more than comments."""
    parts = _DOCUMENT_END.split(text.lstrip("\ufeff").replace("\r\n", "\n"))
    return [p for p in parts if any(line.strip() and not line.lstrip().startswith("#") for line in p.splitlines())]


def _match(part: str, kind: re.Match[str] | None, path: Path, document: int) -> list[Entry]:
    name = _NAME.search(part)
    if kind is None or name is None:
        return []
    if kind[1] in RUNTIME_KINDS:
        return [Entry(kind[1], name[1], path, document, "")]
    refers = (_MODEL_OF if kind[1] in SERVICE_KINDS else _URI).search(part)
    return [Entry(kind[1], name[1], path, document, refers[1])] if refers else []


def _parse(path: Path, text: str, document: int) -> Iterator[Entry]:
    """An object written in a way the patterns do not know (flow style, JSON)."""
    file = ManifestFile(path, document, text)
    try:
        found = file.object
        spec = mapping(found, "spec")
        refers = mapping(spec, "model").get("name") or mapping(spec, "storage").get("storageUri") or ""
        if found.get("kind") in KINDS and file.name:
            yield Entry(str(found["kind"]), file.name, path, document, str(refers))
    except (ConfigError, IndexError):
        return
