"""Version strings as OME compares them (facts: ome.md, 3.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"(0|[1-9]\d*)"
_SUFFIX = r"((?:\.(?:dev|post)\d*)?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)"
_LENIENT = re.compile(rf"(v?){_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}{_SUFFIX})?)?")
_STRICT = re.compile(rf"(){_NUMBER}\.{_NUMBER}\.{_NUMBER}{_SUFFIX}")


@dataclass(frozen=True, slots=True)
class Version:
    """A parsed version: numbers as written, and what follows the patch number."""

    prefix: str
    numbers: tuple[int, ...]
    suffix: str

    @property
    def padded(self) -> tuple[int, ...]:
        """Always three numbers."""
        return (*self.numbers, 0, 0)[:3]


def parse(text: str, *, lenient: bool) -> Version | None:
    """The version, or ``None`` for a string OME cannot read (such a version matches nothing, not even itself)."""
    match = (_LENIENT if lenient else _STRICT).fullmatch(text)
    if match is None:
        return None
    prefix, *numbers, suffix = match.groups()
    return Version(prefix, tuple(int(number) for number in numbers if number is not None), suffix or "")


def compatible(model: str, runtime: str, operator: str, *, lenient: bool) -> bool:
    """Whether a runtime that states ``runtime`` with ``operator`` takes a model of version ``model``."""
    ours, theirs = parse(model, lenient=lenient), parse(runtime, lenient=lenient)
    if ours is None or theirs is None:
        return False
    if operator not in ("GreaterThan", "GreaterThanOrEqual") or ours.suffix or theirs.suffix:
        return (ours.padded, ours.suffix) == (theirs.padded, theirs.suffix)
    if lenient and (len(ours.numbers), ours.prefix) != (len(theirs.numbers), theirs.prefix):
        return False
    if operator == "GreaterThan":
        return theirs.padded > ours.padded
    return theirs.padded >= ours.padded
