"""Parameter counts as the platform writes and reads them."""

from __future__ import annotations

import re

_UNITS = {"T": 1e12, "B": 1e9, "M": 1e6}


def parameters(size: str) -> float:
    """The count a size such as ``8.03B``, ``135M`` or ``1T`` stands for.

    Only upper-case T, B and M count; like the platform, anything else is 0 (``7b``, ``700K``, ``0``).
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([TBM])", size)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0
