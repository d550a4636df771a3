"""``docs/options.md`` tells the truth."""

from __future__ import annotations

from pathlib import Path

from pytest_modelrt.options import as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "options.md"


def test_the_page_holds_the_table_of_the_options() -> None:
    assert as_markdown() in PAGE.read_text(encoding="utf-8")
