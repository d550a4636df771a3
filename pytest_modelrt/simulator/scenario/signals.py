"""When trouble first showed on the simulated cluster: what a verdict's speed is measured against."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_modelrt.clock import rfc3339, utc_now

NAME = "signals.jsonl"


class Signals:
    """Notes the first time of each signal, in memory and, with a directory, in ``signals.jsonl``."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], str] = {}
        """(model or empty, what) -> RFC 3339 time of the first time."""
        self._path: Path | None = None

    def write_to(self, directory: Path) -> None:
        """Append what comes to ``signals.jsonl`` in ``directory``."""
        self._path = directory / NAME

    def note(self, model: str, what: str) -> None:
        """Something went wrong with ``model``, or, when that is empty, with the cluster."""
        if (model, what) in self.seen:
            return
        moment = self.seen[model, what] = rfc3339(utc_now())
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"time": moment, "model": model, "what": what}) + "\n")
