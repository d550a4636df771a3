"""Log lines of OME's processes, in the shape of their structured loggers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pytest_modelrt.clock import rfc3339, utc_now

Sink = Callable[[str], None]
"""Takes one line for a container's log."""


class Log:
    """Writes JSON lines to a container's log; without a sink they are dropped."""

    def __init__(self, logger: str = "", sink: Sink | None = None) -> None:
        self.sink = sink
        self._logger = logger

    def named(self, logger: str) -> Log:
        """Another logger that writes to the same sink."""
        child = Log(logger)
        child._parent = self
        return child

    def info(self, message: str, **fields: Any) -> None:
        """Something happened."""
        self._write("info", message, fields)

    def warn(self, message: str, **fields: Any) -> None:
        """Something is odd."""
        self._write("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something failed."""
        self._write("error", message, fields)

    _parent: Log | None = None

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        sink = (self._parent or self).sink
        if sink is None:
            return
        line = {"level": level, "ts": rfc3339(utc_now())}
        if self._logger:
            line["logger"] = self._logger
        sink(json.dumps({**line, "msg": message, **fields}, separators=(",", ":"), ensure_ascii=False))
