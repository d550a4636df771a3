"""Writes a copy of a config tree with the mistakes a scenario asks for."""

from __future__ import annotations

import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_modelrt.plan.load import display
from pytest_modelrt.plan.problems import ConfigError, Problem
from pytest_modelrt.simulator.scenario.cluster import FileEdit


def write_tree(source: Path, target: Path, edits: tuple[FileEdit, ...]) -> list[Path]:
    """Copy ``source`` to ``target`` (which must not exist) and edit it; returns the files that changed.

    Raises:
        ConfigError: an edit finds no file, or nothing to replace.
    """
    shutil.copytree(source, target)
    changed = []
    for number, edit in enumerate(edits):
        files = [path for path in sorted(target.rglob("*")) if path.is_file() and _matches(path, target, edit)]
        touched = [path for path in files if _apply(path, edit)]
        if not touched:
            what = "matches no file" if not files else "finds nothing to replace"
            problem = Problem(display(source), 0, f"files[{number}]", f"{edit.path}: {what}", "mend the scenario")
            raise ConfigError([problem])
        changed += touched
    return changed


def _matches(path: Path, root: Path, edit: FileEdit) -> bool:
    return fnmatchcase(path.relative_to(root).as_posix(), edit.path)


def _apply(path: Path, edit: FileEdit) -> bool:
    """Change one file; returns whether anything changed."""
    if edit.absent:
        path.unlink()
        return True
    text = path.read_text(encoding="utf-8")
    fresh = re.sub(edit.replace or "$^", edit.by, text, flags=re.MULTILINE)
    path.write_text(fresh, encoding="utf-8")
    return fresh != text
