"""Cells and rows of Markdown tables, as people edit them by hand: padded, with CRLF, with escaped bars."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")
_SPLIT = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"^[\s|:-]+$")


@lru_cache(maxsize=32768)
def cell(text: object, limit: int = 0) -> str:
    """``text`` as the content of one cell: one line, bars and tags escaped, at most ``limit`` characters (0: any)."""
    flat = " ".join(_CONTROL.sub(" ", str(text)).split())
    if limit and len(flat) > limit:
        flat = flat[: limit - 1].rstrip() + "…"
    return _TAG.sub("&lt;", _BAR.sub(r"\1\\|", flat))


def row(cells: Iterable[object]) -> str:
    """A row of cells whose text is already escaped."""
    return "| " + " | ".join(str(item) for item in cells) + " |"


def is_row(line: str) -> bool:
    """Whether a line belongs to a table."""
    return line.lstrip().startswith("|")


def is_rule(line: str) -> bool:
    """Whether a line is the dashes under a table's head."""
    return is_row(line) and "-" in line and bool(_RULE.match(line))


def cells_of(line: str) -> list[str]:
    """The cells of a row, stripped; escapes are kept as they stand."""
    return list(_cells_of(line))


@lru_cache(maxsize=32768)
def _cells_of(line: str) -> tuple[str, ...]:
    """Remembered, because a page is read again after every case and hardly changes."""
    inner = line.strip().removeprefix("|")
    parts = _SPLIT.split(inner)
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    return tuple(part.strip() for part in parts)


def with_cell(line: str, index: int, text: str) -> str:
    """``line`` with one cell replaced, its padding kept where the new text fits into it."""
    parts = _SPLIT.split(line)
    old = parts[index + 1]
    new = f" {text} "
    if len(old) > len(old.strip()) + 2:
        new = new.ljust(len(old))
    parts[index + 1] = new
    return "|".join(parts)


def block(text: str) -> str:
    """A fence longer than any run of backticks in ``text``."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)


def code(text: object) -> str:
    """``text`` as a code span."""
    flat = " ".join(_CONTROL.sub(" ", str(text)).split())
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"
