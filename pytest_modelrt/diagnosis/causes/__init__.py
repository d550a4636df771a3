"""The failure taxonomy as data: every slug with its stage, owner, outcome, retry policy, scope and hint."""

from __future__ import annotations

from pytest_modelrt.diagnosis.causes import access, control_plane, download, engine, gateway, placement, runtime
from pytest_modelrt.diagnosis.model import Cause

CAUSES: dict[str, Cause] = {
    cause.slug: cause
    for module in (control_plane, download, runtime, placement, engine, access, gateway)
    for cause in module.CAUSES
}
"""Slug -> cause, in the order a case would meet them."""

UNKNOWN = CAUSES["unknown"]


def cause(slug: str) -> Cause:
    """The cause called ``slug``.

    Raises:
        KeyError: no such slug; a programming error, the table is closed.
    """
    return CAUSES[slug]
