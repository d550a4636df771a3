"""Reads the plan and the campaign settings from a config tree. The only place of this room that touches files."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path

import yaml

from pytest_modelrt.plan.document import MAX_BYTES, compose, decode, too_large
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.plan.problems import ConfigError, Problem
from pytest_modelrt.plan.rows import read_plan
from pytest_modelrt.plan.settings import read_campaign

PLAN = "plan.yaml"
CAMPAIGN = "campaign.yaml"


def load_plan(config_dir: str | Path) -> Plan:
    """The plan of a config tree, with the phases its campaign settings give; read once per process.

    A tree without a ``plan.yaml`` of its own (a checkout of the platform's config, say) gets the built-in plan.

    Raises:
        ConfigError: all problems of the file that cannot be used.
    """
    return _plan(Path(config_dir).absolute())


def load_campaign(config_dir: str | Path) -> Campaign:
    """The campaign settings of a config tree, or the built-in ones; read once per process.

    Raises:
        ConfigError: all problems of the file.
    """
    return _campaign(Path(config_dir).absolute())


def read_text(path: Path) -> str:
    """The text of a configuration file, with its line ends as they are.

    Raises:
        ConfigError: missing, unreadable, too large, empty or not UTF-8.
    """
    shown = display(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise too_large(size, shown)
        return decode(path.read_bytes(), shown)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ConfigError([Problem(shown, 0, "", what, "check the path and its permissions")]) from None


def display(path: Path) -> str:
    """``path`` as shown to people: from the current directory where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@functools.cache
def _plan(config_dir: Path) -> Plan:
    path = _find(config_dir, PLAN)
    return read_plan(_single(path), display(path), load_campaign(config_dir).phases)


@functools.cache
def _campaign(config_dir: Path) -> Campaign:
    path = _find(config_dir, CAMPAIGN)
    return read_campaign(_single(path), display(path))


def _find(config_dir: Path, name: str) -> Path:
    if not config_dir.is_dir():
        what = "no such directory" if not config_dir.exists() else "is not a directory"
        raise ConfigError([Problem(display(config_dir), 0, "", what, "name a config tree with --modelrt-config")])
    own = config_dir / name
    return own if own.exists() else Path(str(resources.files(__package__) / "builtin" / name))


def _single(path: Path) -> yaml.Node:
    documents = compose(read_text(path), display(path))
    if len(documents) != 1:
        what = "has no fields" if not documents else f"has {len(documents)} documents"
        raise ConfigError([Problem(display(path), 0, "", what, "write one document")])
    return documents[0]
