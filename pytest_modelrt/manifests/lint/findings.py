"""What a lint finds, and the documents it looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from pytest_modelrt.manifests.objects import Object, lines
from pytest_modelrt.manifests.tree import ManifestFile
from pytest_modelrt.plan.load import display
from pytest_modelrt.plan.problems import Problem


class Severity(StrEnum):
    """Errors end in failure on the platform; warnings may."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and how bad it is."""

    severity: Severity
    problem: Problem

    def __str__(self) -> str:
        """``file:line: [warning: ]field: what; remedy``."""
        text = str(self.problem)
        if self.severity == Severity.ERROR:
            return text
        place, _, rest = text.partition(": ")
        return f"{place}: warning: {rest}"


Findings = Iterator[Finding]


@dataclass(frozen=True)
class Document:
    """One object under lint."""

    file: ManifestFile

    @property
    def object(self) -> Object:
        """The object itself."""
        return self.file.object

    @property
    def kind(self) -> str:
        """Its kind, empty where it gives none."""
        return str(self.object.get("kind", ""))

    @property
    def spec(self) -> Object:
        """Its spec, empty where that is no mapping."""
        spec = self.object.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def name(self) -> str:
        """``metadata.name``, empty where there is none."""
        metadata = self.object.get("metadata")
        return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""

    @property
    def namespace(self) -> str:
        """``metadata.namespace``, empty where there is none."""
        metadata = self.object.get("metadata")
        return str(metadata.get("namespace") or "") if isinstance(metadata, dict) else ""

    @property
    def shown(self) -> str:
        """Its file for messages."""
        return display(self.file.path)

    def error(self, field: str, what: str, remedy: str) -> Finding:
        """An error at a field of this document."""
        return Finding(Severity.ERROR, self._problem(field, what, remedy))

    def warning(self, field: str, what: str, remedy: str) -> Finding:
        """A warning at a field of this document."""
        return Finding(Severity.WARNING, self._problem(field, what, remedy))

    def line_of(self, field: str) -> int:
        """Line of a field, else of the nearest field around it."""
        while field and field not in self._lines:
            field = re.sub(r"(^|\.)[^.\[\]]*$|\[\d+\]$", "", field)
        return self._lines.get(field, self.file.line)

    @cached_property
    def _lines(self) -> dict[str, int]:
        return lines(self.file.node)

    def _problem(self, field: str, what: str, remedy: str) -> Problem:
        return Problem(self.shown, self.line_of(field), field, what, remedy)
