"""What the controller writes down about the run as a whole, or about a case that others run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.journal.model import EventKind, StageEvent
from pytest_modelrt.session.surroundings import journal_of


def note(
    config: pytest.Config,
    what: str,
    data: Mapping[str, object],
    *,
    case: str | None = None,
    kind: EventKind = EventKind.OBSERVATION,
) -> None:
    """One line of the controller's journal.

    Args:
        config: of the controller; its run directory exists.
        what: names the observation.
        data: JSON-able.
        case: id of the case it is about.
        kind: an observation unless it is more.
    """
    event = StageEvent(time=rfc3339(utc_now()), kind=kind, case=case, data={"what": what, **data})
    journal_of(config).record(event)
