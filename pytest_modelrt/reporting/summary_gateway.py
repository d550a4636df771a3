"""The summary page's section about models behind the gateway: they are no models of the plan, so they count apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_modelrt.journal.results import Result
from pytest_modelrt.reporting.markdown import cell, row
from pytest_modelrt.reporting.page import Page
from pytest_modelrt.reporting.summary_template import VENDOR_COLUMNS
from pytest_modelrt.reporting.wording import day, notes, status

_TITLE = "Models Behind the Gateway"
_SECTION = re.compile(rf"^{_TITLE}", re.IGNORECASE)


def write_gateway(page: Page, results: Sequence[Result], after: re.Pattern[str]) -> None:
    """Write the rows of ``results``; a page without the section gets it behind the one ``after`` names."""
    if not results:
        return
    rows = [row([cell(result.name), status(result), day(result), notes(result)]) for result in results]
    section = page.section(_SECTION)
    if section is None:
        before = page.section(after)
        place = before[1] if before else len(page.lines)
        page.insert(place, [f"## {_TITLE}", "", *VENDOR_COLUMNS, *rows, "", "---", ""])
        return
    table = page.table(*section)
    if table is not None:
        del page.lines[table.first : table.last]
        page.insert(table.first, rows)
