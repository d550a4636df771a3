"""docs/causes.md is what the data says."""

from __future__ import annotations

from pathlib import Path

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.reporting.causes_md import render

PAGE = Path(__file__).parents[3] / "docs" / "causes.md"


def test_page_agrees_with_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_cause_is_on_the_page_once() -> None:
    text = render()
    for slug in CAUSES:
        assert text.count(f"| `{slug}` |") == 1
