"""The summary page: the users' own, rewritten only where it is ours (facts: formats 2 and 6). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_modelrt.journal.results import Result
from pytest_modelrt.reporting import maas_md
from pytest_modelrt.reporting.markdown import cell, cells_of, is_row, row, with_cell
from pytest_modelrt.reporting.models import Model, Names, plain
from pytest_modelrt.reporting.page import Page, with_ending_of
from pytest_modelrt.reporting.summary_gateway import write_gateway
from pytest_modelrt.reporting.summary_gpus import write_gpus
from pytest_modelrt.reporting.summary_template import TEMPLATE, VENDOR_COLUMNS
from pytest_modelrt.reporting.wording import (
    FAILED,
    NOT_TESTED,
    PASSED,
    SKIPPED,
    day,
    log_text,
    notes,
    status,
    status_of_cell,
)

TABLES = {PASSED: "PASSED", FAILED: "FAILED", SKIPPED: "SKIPPED"}
_HEADER_COUNTS = re.compile(r"\((\d+)\s*/\s*(\d+)([^)]*)\)\s*$")
_UPDATED = re.compile(r"^\*\*Last Updated\*\*:\s*")
_QUICK = re.compile(r"^Quick Stats", re.IGNORECASE)
_VENDORS = re.compile(r"^Results by Vendor", re.IGNORECASE)
_LOG = re.compile(r"^Test Execution Log", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counts:
    """Quick Stats; they always add up."""

    total: int
    passed: int
    failed: int
    skipped: int

    @property
    def not_tested(self) -> int:
        """What has no verdict."""
        return self.total - self.passed - self.failed - self.skipped

    @property
    def pass_rate(self) -> str:
        """The users' formula: passed of all models, one decimal."""
        return f"{100 * self.passed / self.total if self.total else 0:.1f}%"

    @classmethod
    def of(cls, statuses: Iterable[str]) -> Counts:
        """Counted from the status of every model."""
        known = list(statuses)
        return cls(len(known), known.count(PASSED), known.count(FAILED), known.count(SKIPPED))


@dataclass(slots=True)
class _Known:
    """What is known about each model when the page is written."""

    models: Mapping[str, Model]
    results: Mapping[str, Result]
    """Results that this page shall show."""
    rank: Mapping[str, int] = field(default_factory=dict)
    """Key -> place in the plan."""
    vendors: dict[str, str] = field(default_factory=dict)
    """Key -> vendor, also of models only the page knows."""
    rows: dict[str, list[str]] = field(default_factory=dict)
    """Key -> cells of the page's own row in a vendor section."""
    listed: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Key -> status and cells of the page's own row in a status table."""

    def status(self, key: str) -> str:
        """Ours first, then the status table's, then the vendor section's."""
        if key in self.results:
            return status(self.results[key])
        if key in self.listed:
            return self.listed[key][0]
        return status_of_cell(self.rows[key][1]) if key in self.rows else NOT_TESTED


def usable(data: bytes) -> bool:
    """Whether a file is a summary page we may edit: it has the three marker pairs and the vendor section."""
    page = Page.of_bytes(data)
    marked = all(_region(page, name) for name in TABLES.values())
    return marked and page.section(_VENDORS) is not None


def render(
    existing: bytes | None,
    models: Sequence[Model],
    latest: Mapping[str, Result],
    attempts: Sequence[Result],
    *,
    current_run: str | None,
    updated: str,
    cluster: str,
    gpus: Sequence[str] = (),
) -> bytes:
    """The page with everything of ours up to date.

    Args:
        existing: the page as it is, ``usable``; None: there is none yet.
        models: all models, in plan order; those behind the gateway count apart.
        latest: key -> result that speaks for the model.
        attempts: rows for the execution log, oldest first.
        current_run: its results replace what the page says; others only fill gaps.
        updated: ``YYYY-MM-DD HH:MM:SS UTC`` of the newest data.
        cluster: free text for a page that does not exist yet.
        gpus: what there is to say about the GPUs the current run held.
    """
    page = Page.of_bytes(existing) if existing else Page(TEMPLATE.format(updated=updated, cluster=cluster))
    apart = [latest[model.key] for model in models if model.vendor == maas_md.VENDOR and model.key in latest]
    models = [model for model in models if model.vendor != maas_md.VENDOR]
    latest = {key: result for key, result in latest.items() if result.vendor != maas_md.VENDOR}
    names = Names(models)
    known = _Known({model.key: model for model in models}, {})
    known.rank = {model.key: place for place, model in enumerate(models)}
    known.vendors = {model.key: model.vendor for model in models}
    _read(page, names, known)
    known.results = {
        key: result for key, result in latest.items() if result.run_id == current_run or known.status(key) == NOT_TESTED
    }
    for name, table in TABLES.items():
        _write_table(page, names, known, name, table)
    _write_vendors(page, names, known)
    counts = Counts.of(known.status(key) for key in known.vendors)
    _write_stats(page, counts)
    write_gpus(page, gpus)
    write_gateway(page, apart, after=_VENDORS)
    _write_log(page, attempts)
    _write_updated(page, updated)
    return page.to_bytes()


# ------------------------------------------------------------------------------------------------ reading


def _read(page: Page, names: Names, known: _Known) -> None:
    for status_name, table in TABLES.items():
        for line in _rows(page, _region(page, table)):
            cells = cells_of(line)
            if len(cells) >= 2:
                key = names.key(cells[0], cells[1])
                known.vendors.setdefault(key, names.vendor(cells[0]))
                known.listed.setdefault(key, (status_name, cells))
    for vendor, start, end in _vendor_sections(page):
        for line in _rows(page, (start, end)):
            cells = cells_of(line)
            if len(cells) >= 2:
                key = names.key(vendor, cells[0])
                known.vendors.setdefault(key, names.vendor(vendor))
                known.rows.setdefault(key, cells)


def _region(page: Page, table: str) -> tuple[int, int] | None:
    """Lines between a marker pair."""
    start = page.find(re.compile(rf"<!--\s*{table}_START\s*-->"))
    end = None if start is None else page.find(re.compile(rf"<!--\s*{table}_END\s*-->"), start)
    return None if start is None or end is None else (start + 1, end)


def _rows(page: Page, region: tuple[int, int] | None) -> list[str]:
    table = page.table(*region) if region else None
    return [line for line in page.lines[table.first : table.last] if is_row(line)] if table else []


def _vendor_sections(page: Page) -> list[tuple[str, int, int]]:
    section = page.section(_VENDORS)
    if section is None:
        return []
    found = []
    for place, end, title in page.headings(3, *section):
        found.append((_HEADER_COUNTS.sub("", title).strip(), place, end))
    return found


# ------------------------------------------------------------------------------------------------ status tables


def _write_table(page: Page, names: Names, known: _Known, status_name: str, table: str) -> None:
    """Our rows replaced in place, rows of another status gone, new ones where the plan has them."""
    region = _region(page, table)
    place = page.table(*region) if region else None
    if place is None:
        return
    kept: list[tuple[int | None, str]] = []
    seen: set[str] = set()
    for line in page.lines[place.first : place.last]:
        cells = cells_of(line) if is_row(line) else []
        key = names.key(cells[0], cells[1]) if len(cells) >= 2 else None
        if key is None:
            kept.append((None, line))
        elif known.status(key) == status_name and key not in seen:
            seen.add(key)
            ours = known.results.get(key)
            kept.append((known.rank.get(key), with_ending_of(line, _table_row(ours, table)) if ours else line))
        elif key not in known.results:
            kept.append((None, line))
    added = []
    for key in known.vendors:
        if key not in seen and known.status(key) == status_name:
            ours = known.results.get(key)
            line = _table_row(ours, table) if ours else _carried_row(known, key, table)
            added.append((known.rank.get(key), with_ending_of(page.lines[place.first - 1], line)))
    page.lines[place.first : place.last] = _merged(kept, added)


def _merged(kept: Sequence[tuple[int | None, str]], added: Sequence[tuple[int | None, str]]) -> list[str]:
    """New rows before the first row of a model that comes later in the plan, whenever either was tested."""
    ranked = sorted(((rank, line) for rank, line in added if rank is not None), key=lambda item: item[0], reverse=True)
    lines = []
    for rank, line in kept:
        while rank is not None and ranked and ranked[-1][0] < rank:
            lines.append(ranked.pop()[1])
        lines.append(line)
    last_row = next((place + 1 for place in range(len(lines) - 1, -1, -1) if is_row(lines[place])), 0)
    rest = [line for _, line in reversed(ranked)] + [line for rank, line in added if rank is None]
    return lines[:last_row] + rest + lines[last_row:]


def _table_row(result: Result, table: str) -> str:
    cells = [cell(item) for item in (result.vendor, result.name, result.size, result.type, result.gpus)]
    dated = [] if table == "SKIPPED" else [day(result)]
    return row([*cells, *dated, notes(result)])


def _carried_row(known: _Known, key: str, table: str) -> str:
    """A verdict that only the vendor section had."""
    name, _, dated, *rest = [*known.rows[key], "-", "-"][:4]
    model = known.models.get(key)
    facts = [model.size, model.type, model.gpus] if model else ["-", "-", "-"]
    return row([known.vendors[key], name, *facts, *([] if table == "SKIPPED" else [dated]), *rest])


# ------------------------------------------------------------------------------------------------ vendor sections


def _write_vendors(page: Page, names: Names, known: _Known) -> None:
    by_vendor: dict[str, list[str]] = {}
    for key, vendor in known.vendors.items():
        by_vendor.setdefault(plain(vendor), []).append(key)
    spelled = {plain(vendor): vendor for vendor in reversed(known.vendors.values())}
    written = set()
    for vendor, start, end in reversed(_vendor_sections(page)):
        ours = plain(names.vendor(vendor))
        written.add(ours)
        missing = [key for key in by_vendor.get(ours, ()) if key not in known.rows]
        _write_section(page, names, known, vendor, (start, end), missing)
    _insert_sections(
        page, known, {spelled[vendor]: keys for vendor, keys in by_vendor.items() if vendor not in written}
    )


def _write_section(
    page: Page, names: Names, known: _Known, vendor: str, region: tuple[int, int], missing: list[str]
) -> None:
    """Rewrite our rows of one section, add missing ones, and count."""
    place = page.table(*region)
    if place is None:
        page.insert(region[0] + 1, [*VENDOR_COLUMNS])
        place = page.table(region[0], region[1] + 2)
    if place is None:
        return
    shown: dict[str, str] = {}
    for number in range(place.first, place.last):
        cells = cells_of(page.lines[number]) if is_row(page.lines[number]) else []
        if len(cells) < 2:
            continue
        key = names.key(vendor, cells[0])
        said = _section_row(known, key, cells[0]) if _ours_to_say(known, key, cells[1]) else None
        if said is not None and cells_of(said) != cells:
            page.set(number, said)
        shown.setdefault(key, known.status(key))
    page.insert(place.last, [_section_row(known, key, _name(known, key)) for key in missing])
    shown |= {key: known.status(key) for key in missing}
    _write_counts(page, region[0], Counts.of(shown.values()))


def _ours_to_say(known: _Known, key: str, said: str) -> bool:
    """Our own results, and placeholders where the page's own table knows better."""
    return key in known.results or (key in known.listed and status_of_cell(said) == NOT_TESTED)


def _section_row(known: _Known, key: str, name: str) -> str:
    if key in known.results:
        result = known.results[key]
        return row([name, status(result), day(result), notes(result)])
    if key in known.listed:
        status_name, cells = known.listed[key]
        dated = "-" if status_name == SKIPPED or len(cells) < 7 else cells[5]
        return row([name, status_name, dated, cells[-1]])
    return row([name, NOT_TESTED, "-", "-"])


def _name(known: _Known, key: str) -> str:
    model = known.models.get(key)
    return cell(model.name) if model else known.listed[key][1][1]


def _insert_sections(page: Page, known: _Known, wanted: Mapping[str, list[str]]) -> None:
    """Add each section before the first one that sorts after it; from the last one up, so that places stay true."""
    section = page.section(_VENDORS)
    if section is None:
        return
    there = _vendor_sections(page)
    end = _end_of_block(page, *section)
    for vendor in sorted(wanted, key=str.lower, reverse=True):
        place = next((start for name, start, _ in there if name.lower() > vendor.lower()), end)
        counts = Counts.of(known.status(key) for key in wanted[vendor])
        rows = [_section_row(known, key, _name(known, key)) for key in wanted[vendor]]
        page.insert(place, [f"### {vendor} ({counts.passed}/{counts.total})", *VENDOR_COLUMNS, *rows, ""])


def _end_of_block(page: Page, start: int, end: int) -> int:
    """Before the rule that closes the block of sections."""
    for place in range(end - 1, start, -1):
        text = page.lines[place].strip()
        if text and not re.fullmatch(r"-{3,}", text):
            blank = place + 1 < end and not page.lines[place + 1].strip()
            return place + 1 + blank
    return min(start + 2, end)


def _write_counts(page: Page, place: int, counts: Counts) -> None:
    """``### vendor (passed/total)``, further words in the brackets kept, a count of skips kept right."""
    line = page.lines[place].rstrip("\r")
    match = _HEADER_COUNTS.search(line)
    if match is None:
        page.set(place, f"{line.rstrip()} ({counts.passed}/{counts.total})")
        return
    extra = re.sub(r"\d+(?=\s+skipped)", str(counts.skipped), match[3])
    page.set(place, f"{line[: match.start()]}({counts.passed}/{counts.total}{extra})")


# ------------------------------------------------------------------------------------------------ the rest


def _write_stats(page: Page, counts: Counts) -> None:
    section = page.section(_QUICK)
    table = page.table(*section) if section else None
    if table is None:
        return
    values: dict[str, str] = {
        "total models": str(counts.total),
        "passed": str(counts.passed),
        "failed": str(counts.failed),
        "skipped": str(counts.skipped),
        "not tested": str(counts.not_tested),
        "pass rate": counts.pass_rate,
    }
    for place in range(table.first, table.last):
        cells = cells_of(page.lines[place]) if is_row(page.lines[place]) else []
        value = values.get(cells[0].strip("* ").lower()) if len(cells) >= 2 else None
        if value is not None and cells[1] != value:
            page.set(place, with_cell(page.lines[place], 1, value))


def _write_log(page: Page, attempts: Sequence[Result]) -> None:
    """Append one row per attempt that has none yet: same minute, same runner, same model."""
    section = page.section(_LOG)
    table = page.table(*section) if section else None
    if table is None:
        return
    there: dict[tuple[str, ...], int] = {}
    for line in page.lines[table.first : table.last]:
        if is_row(line):
            identity = tuple(cells_of(line)[:3])
            there[identity] = there.get(identity, 0) + 1
    added = []
    for result in attempts:
        if not result.verdict.finished:
            continue
        when = result.verdict.finished[:16].replace("T", " ")
        line = row([when, cell(result.runner), cell(result.hub_id), log_text(result)])
        identity = tuple(cells_of(line)[:3])
        if there.get(identity, 0):
            there[identity] -= 1
        else:
            added.append(line)
    page.insert(table.last, added)


def _write_updated(page: Page, updated: str) -> None:
    """The newest of what the page and the data say."""
    place = page.find(_UPDATED)
    if place is None:
        return
    line = page.lines[place].rstrip("\r")
    match = _UPDATED.match(line)
    if match is not None and line[match.end() :] < updated:
        page.set(place, line[: match.end()] + updated)
