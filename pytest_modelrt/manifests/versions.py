"""Framework and format versions, read and compared the way the platform does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """Releases of OME whose matching differs."""

    V0_1_4 = "v0.1.4"
    V0_1_5 = "v0.1.5"


_NUMBER = r"(0|[1-9]\d*)"
_PATTERN = re.compile(
    rf"(?P<v>v?){_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}(?P<suffix>(?:\.(?:dev|post)\d*)?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?))?)?"
)


@dataclass(frozen=True, slots=True)
class Version:
    """A version the platform can read: one to three numbers, and what follows the third."""

    numbers: tuple[int, ...]
    prefixed: bool
    suffix: str

    @property
    def padded(self) -> tuple[int, ...]:
        """Three numbers; missing ones are 0."""
        return (*self.numbers, 0, 0)[:3]


def parse(text: str, profile: Profile = Profile.V0_1_5) -> Version | None:
    """``text`` as the platform reads it; None where it cannot: such a version matches nothing, not even itself."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    numbers = tuple(int(match[group]) for group in (2, 3, 4) if match[group] is not None)
    prefixed = bool(match["v"])
    if profile == Profile.V0_1_4 and (prefixed or len(numbers) != 3):
        return None
    return Version(numbers, prefixed, match["suffix"] or "")


def compatible(model: str, runtime: str, operator: str = "Equal", profile: Profile = Profile.V0_1_5) -> bool:
    """Whether a runtime's version accepts a model's.

    A suffix (``.dev0``, ``-rc1``) on either side demands equality whatever the operator; ``GreaterThan`` and
    ``GreaterThanOrEqual`` speak about the runtime, and since v0.1.5 only about versions written alike.
    """
    ours, theirs = parse(model, profile), parse(runtime, profile)
    if ours is None or theirs is None:
        return False
    if ours.suffix or theirs.suffix or operator not in ("GreaterThan", "GreaterThanOrEqual"):
        return (ours.padded, ours.suffix) == (theirs.padded, theirs.suffix)
    if profile == Profile.V0_1_5 and (len(ours.numbers), ours.prefixed) != (len(theirs.numbers), theirs.prefixed):
        return False
    return theirs.padded > ours.padded or (operator == "GreaterThanOrEqual" and theirs.padded == ours.padded)
