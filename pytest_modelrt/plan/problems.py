"""What is wrong with a file, said so that the reader knows where to look and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one file."""

    file: str
    line: int
    """From 1; 0 when the file as a whole is meant."""
    field: str
    """Path of the field, ``models[3].gpus``; empty when no field is meant."""
    what: str
    remedy: str

    def __str__(self) -> str:
        """``file:line: field: what; remedy``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        field = f"{self.field}: " if self.field else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}: {field}{self.what}{remedy}"


class ConfigError(Exception):
    """A configuration file cannot be used; carries everything wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        """Survive the way between processes."""
        return type(self), (self.problems,)
