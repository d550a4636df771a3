"""Versions as OME compares them: examples executed on the real parser (facts: ome.md, 3.2)."""

from __future__ import annotations

import pytest

from pytest_modelrt.simulator.controllers.ome.versions import compatible, parse


@pytest.mark.parametrize(
    ("model", "runtime", "operator", "expected"),
    [
        ("4.43", "4.43.0", "Equal", True),
        ("v4.43.0", "4.43.0", "Equal", True),
        ("4.43.0", "4.43.0.dev0", "Equal", False),
        ("4.43.0.dev0", "4.43.0.dev1", "Equal", False),
        ("4.47.0.dev0", "4.47.0.dev0", "GreaterThanOrEqual", True),
        ("4.47.0.dev0", "4.48.0", "GreaterThanOrEqual", False),
        ("4.41.0", "4.43.0", "GreaterThan", True),
        ("4.43.0", "4.43.0", "GreaterThan", False),
        ("4.43.0", "4.43.0", "GreaterThanOrEqual", True),
        ("4.44.0", "4.43.0", "GreaterThanOrEqual", False),
        ("4.41", "4.43.0", "GreaterThan", False),
        ("4.41.0rc1", "4.41.0rc1", "Equal", False),
        ("4.45.dev0", "4.45.dev0", "Equal", False),
        ("", "", "Equal", False),
    ],
)
def test_current_release(model: str, runtime: str, operator: str, expected: bool) -> None:
    assert compatible(model, runtime, operator, lenient=True) is expected


@pytest.mark.parametrize("text", ["4.43", "1", "v1.0.0"])
def test_older_releases_want_three_parts_and_no_prefix(text: str) -> None:
    assert parse(text, lenient=False) is None
    assert parse(text, lenient=True) is not None
    assert not compatible(text, text, "Equal", lenient=False)


def test_leading_zeros_do_not_parse() -> None:
    assert parse("4.05.0", lenient=True) is None
