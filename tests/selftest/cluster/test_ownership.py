from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_modelrt.cluster.model import CASE, EXPIRES, MANAGED_BY, MANAGER, RUN_ID, NotOurs, Ownership
from pytest_modelrt.cluster.ownership import has_expired, is_ours, require_ours, run_of, stamp

OWNER = Ownership("r-1", "llama", "2026-01-01T12:00:00Z")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_stamp_adds_to_what_is_there_and_leaves_the_original_alone() -> None:
    original = {"kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}, "annotations": None}}
    stamped = stamp(original, OWNER)
    assert stamped["metadata"]["labels"] == {"a": "b", MANAGED_BY: MANAGER, RUN_ID: "r-1", CASE: "llama"}
    assert stamped["metadata"]["annotations"] == {EXPIRES: OWNER.expires}
    assert original["metadata"] == {"name": "p", "labels": {"a": "b"}, "annotations": None}
    assert is_ours(stamped, "r-1")
    assert not is_ours(stamped, "r-2")


def test_a_run_id_alone_does_not_make_it_ours() -> None:
    assert run_of({"metadata": {"labels": {RUN_ID: "r-1"}}}) is None
    assert run_of({"metadata": {"labels": {MANAGED_BY: MANAGER}}}) is None


@pytest.mark.parametrize(
    ("expires", "expired"),
    [
        ("2026-01-01T11:59:59Z", True),
        ("2026-01-01T12:00:00Z", True),
        ("2026-01-01T12:00:01Z", False),
        ("2026-01-01T13:00:00+02:00", True),
        ("soon", False),
        ("", False),
    ],
)
def test_expiry(expires: str, expired: bool) -> None:
    obj = stamp({"metadata": {"name": "p"}}, Ownership("r-1", "c", expires))
    assert has_expired(obj, NOON) is expired


def test_what_is_not_ours_never_expires() -> None:
    assert not has_expired({"metadata": {"annotations": {EXPIRES: "2020-01-01T00:00:00Z"}}}, NOON)


@pytest.mark.parametrize(
    ("labels", "run", "why"),
    [
        ({}, "r-1", "does not carry our labels"),
        ({MANAGED_BY: MANAGER, RUN_ID: "r-2"}, "r-1", "belongs to run r-2"),
        ({MANAGED_BY: MANAGER, RUN_ID: "r-2"}, None, "may only read"),
    ],
)
def test_refusal_says_why(labels: dict[str, str], run: str | None, why: str) -> None:
    with pytest.raises(NotOurs, match=why):
        require_ours({"metadata": {"labels": labels}}, run, "Pod ns/p")
