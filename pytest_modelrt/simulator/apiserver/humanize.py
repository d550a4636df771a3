"""Ages and durations the way the table form shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pytest_modelrt.simulator.apiserver.values import parse_time

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 86400 * 365


def duration(seconds: float) -> str:
    """``73s``, ``5m7s``, ``10m``, ``3h4m``, ``2d``: two significant units at most."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    total = max(total, 0)
    if total < 2 * _MINUTE:
        return f"{total}s"
    if total < 10 * _MINUTE:
        return _pair(total, _MINUTE, "m", 1, "s")
    if total < 3 * _HOUR:
        return f"{total // _MINUTE}m"
    if total < 8 * _HOUR:
        return _pair(total, _HOUR, "h", _MINUTE, "m")
    if total < 2 * _DAY:
        return f"{total // _HOUR}h"
    if total < 8 * _DAY:
        return _pair(total, _DAY, "d", _HOUR, "h")
    if total < 2 * _YEAR:
        return f"{total // _DAY}d"
    if total < 8 * _YEAR:
        return _pair(total, _YEAR, "y", _DAY, "d")
    return f"{total // _YEAR}y"


def _pair(total: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = total % large // small
    return f"{total // large}{large_name}" + (f"{rest}{small_name}" if rest else "")


def age(stamp: Any) -> str:
    """Time since ``stamp``, ``<unknown>`` when there is none."""
    moment = parse_time(stamp)
    if moment is None:
        return "<unknown>"
    return duration((datetime.now(UTC) - moment).total_seconds())
