"""Renders the campaign page; remembers what cannot change any more, because it is rendered after every case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.history import Change, Trends
from pytest_modelrt.journal.model import Outcome, Stage, Verdict
from pytest_modelrt.journal.resume import carried_of
from pytest_modelrt.journal.trace import CaseTrace, RunView
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.reporting.html.entries import COLUMNS, STAGE_WORDS, Entry, anchor, entry_of, rerun_line
from pytest_modelrt.reporting.html.gateway import tier_section
from pytest_modelrt.reporting.html.svg import Timeline, gpu_chart, slot_chart
from pytest_modelrt.reporting.numbers import (
    OUTCOMES,
    Scale,
    gpu_holdings,
    gpu_text,
    nodes,
    openings,
    peak,
    slot_holdings,
    slowest,
    span_text,
    steps,
)

MANY = 1000
"""Cases from which on those that passed get no section, and their rows wait until somebody asks for them."""
RERUN_NAMES = 40
Links = Sequence[tuple[str, str]]
"""Title and address."""
_NAVIGATION = "<!-- other runs -->"
_EYES = ("failed", "error", "running", "not-run", "skipped", "passed", "carried-over", "waiting")
"""States in the order in which somebody who was not there wants to read about them."""
STAGES = [(str(stage), STAGE_WORDS.get(stage, str(stage))) for stage in Stage]


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A case as values and as HTML."""

    entry: Entry
    row: Markup
    section: Markup
    trace: CaseTrace | None

    @property
    def quiet(self) -> bool:
        """Nothing to look at: among thousands it is shown only on demand."""
        return self.entry.state in ("passed", "waiting")


class HtmlPage:
    """The page of one run."""

    def __init__(self, plan: Plan, campaign: Campaign, trends: Trends | None = None) -> None:
        """``trends``: what earlier runs said, if that is known."""
        self._trends = trends
        self._cases = plan.by_id()
        self._campaign = campaign
        self._still: dict[str, _Rendered] = {}
        self._timeline = Timeline()

    def render(self, view: RunView, links: Links = ()) -> bytes:
        """The page as it stands; the same bytes for the same events.

        Args:
            view: the run, finished or not.
            links: title and address of other runs.
        """
        return self.render_for(view, links)[0]

    def render_for(self, view: RunView, *places: Links) -> list[bytes]:
        """The same page for several places, from which other runs have other addresses."""
        rendered = self._rendered(view)
        entries = [item.entry for item in rendered]
        many = len(entries) > MANY
        loud = [item for item in rendered if not (many and item.quiet)]
        text: str = _template("page.html.j2").render(
            p=self._context(view, entries, many),
            rows=_joined(item.row for item in loud),
            more=_joined(item.row for item in rendered if many and item.quiet),
            sections=_joined(item.section for item in loud),
            css=Markup(_resource("style.css")),
            js=Markup(_resource("script.js")),
            nav=Markup(_NAVIGATION),
        )
        head, tail = text.encode("utf-8", "backslashreplace").split(_NAVIGATION.encode())
        return [head + _navigation(links).encode() + tail for links in places]

    def _rendered(self, view: RunView) -> list[_Rendered]:
        """Every selected or begun case: what wants eyes first, then plan order, then those outside the plan."""
        selected = dict.fromkeys([*(view.info.selection if view.info else ()), *view.latest])
        ordered = sorted(selected, key=lambda case: (self._cases[case].index if case in self._cases else 10**9, case))
        found = [self._case(case, view.latest.get(case), view) for case in ordered]
        return sorted(found, key=lambda item: _EYES.index(item.entry.state))

    def _case(self, case_id: str, trace: CaseTrace | None, view: RunView) -> _Rendered:
        """Values, row and section of a case; remembered while it waits and once the verdict has fallen."""
        still = trace is None or trace.verdict is not None
        known = self._still.get(case_id) if still else None
        if known is None or known.trace is not trace:
            trend = self._trends.of(trace, view.info) if self._trends and trace else None
            item = entry_of(case_id, self._cases.get(case_id), trace, self._campaign, view.last_time, trend)
            known = _Rendered(item, _macros().row(item), _macros().section(item), trace)
            if still:
                self._still[case_id] = known
        return known

    def _context(self, view: RunView, entries: Sequence[Entry], many: bool) -> dict[str, Any]:
        scale = Scale.of(view)
        verdicts = view.verdicts
        held = gpu_holdings(view, self._cases, self._campaign, scale)
        return {
            "title": f"{_headline(verdicts.values(), entries)} · {view.info.run_id if view.info else 'run'}",
            "run_id": view.info.run_id if view.info else "",
            "facts": _facts(view, scale, len(entries)),
            "incomplete": _incomplete(view),
            "headline": _headline(verdicts.values(), entries),
            "tiles": _tiles(entries),
            "causes": _causes(list(verdicts.values())),
            "changes": _changes(entries),
            "slower": [item for item in entries if item.slower],
            "carried": _carried(verdicts),
            "rerun": _rerun(verdicts),
            "stages": STAGES,
            "breaker": openings(view, scale),
            "timeline": self._timeline.draw(view, scale, {item.id: item.anchor for item in entries}),
            "gpu_text": gpu_text(held, self._budget(view), scale),
            "gpu_chart": gpu_chart(held, scale, self._budget(view)),
            "tiers": self._tiers(view, scale),
            "rankings": _rankings(view),
            "nodes": nodes(view)[:30],
            "gateway": tier_section(verdicts.values()),
            "filters": _filters(entries),
            "columns": COLUMNS,
            "quiet_count": sum(item.state in ("passed", "waiting") for item in entries),
            "left_out": f"With more than {MANY} cases only those that did not pass have a section." if many else "",
            "footer": _footer(view),
        }

    def _budget(self, view: RunView) -> int:
        limits = view.info.limits if view.info else {}
        return limits.get("gpu_budget", self._campaign.gpu_budget)

    def _tiers(self, view: RunView, scale: Scale) -> list[dict[str, Any]]:
        limits = view.info.limits if view.info else {}
        found = slot_holdings(view, self._cases, self._campaign, scale)
        tiers = []
        for number, tier in enumerate(self._campaign.tiers):
            limit = limits.get(tier.name, tier.limit)
            stairs = steps(found[tier.name])
            top = peak(stairs)
            words = f"cases at once: at most {top} of {limit}"
            chart = slot_chart(stairs, scale, limit, number)
            tiers.append({"name": tier.name, "words": words, "chart": chart, "over": top > limit})
        return tiers


# ---------------------------------------------------------------------------------------------------- parts


def _headline(verdicts: Any, entries: Sequence[Entry]) -> str:
    """``9 failures, 3 causes``: the first thing to know."""
    failed = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAILED]
    errors = [verdict for verdict in verdicts if verdict.outcome is Outcome.ERROR]
    parts = []
    if failed:
        causes = len({verdict.cause for verdict in failed})
        parts.append(f"{len(failed)} failure{_s(failed)}, {causes} cause{'s' * (causes != 1)}")
    if errors:
        parts.append(f"{len(errors)} without a verdict")
    not_run = sum(item.state == "not-run" for item in entries)
    if not_run:
        parts.append(f"{not_run} not run")
    if parts:
        return "; ".join(parts)
    open_cases = sum(item.state in ("running", "waiting") for item in entries)
    if open_cases:
        return f"Nothing failed so far, {open_cases} to go"
    passed = sum(item.state == "passed" for item in entries)
    return f"All {passed} passed" if passed == len(entries) else f"Nothing failed, {passed} of {len(entries)} passed"


def _facts(view: RunView, scale: Scale, count: int) -> list[str]:
    info = view.info
    if info is None:
        return []
    real = span_text(scale.real)
    took = f"{real}" if scale.speed == 1 else f"{real} ({span_text(scale.end)} of cluster time)"
    return [
        f"{count} cases",
        f"cluster {info.cluster}" + (" (simulated)" if info.simulated and "simulated" not in info.cluster else ""),
        f"started {info.started[:19].replace('T', ' ')} UTC",
        f"took {took}" if info.finished else f"{took} so far",
        f"{info.workers} worker{'s' * (info.workers != 1)}",
        f"pytest-modelrt {info.version}",
        *([f"exit status {info.exit_status}"] if info.exit_status is not None else []),
    ]


def _incomplete(view: RunView) -> str:
    if view.complete:
        return ""
    judged = len(view.verdicts)
    total = len(view.info.selection) if view.info else judged
    last = view.last_time[:19].replace("T", " ")
    said = "The run was killed" if view.killed else "The run goes on, or was killed"
    return f"{said}: {judged} of {total} cases have a verdict, last sign of life {last} UTC."


def _tiles(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    counts = Counter(item.state for item in entries)
    return [
        {"state": name, "symbol": symbol, "word": word, "count": counts[name]}
        for name, symbol, word in OUTCOMES
        if counts[name]
    ]


def _causes(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.cause and verdict.outcome is not Outcome.PASSED:
            found.setdefault(verdict.cause, []).append(verdict)
    rank = [name for name, _, _ in OUTCOMES].index
    ordered = sorted(found.items(), key=lambda item: (rank(item[1][0].outcome), -len(item[1]), item[0]))
    return [
        {
            "slug": slug,
            "count": len(group),
            "state": str(group[0].outcome),
            "title": CAUSES[slug].title if slug in CAUSES else group[0].summary,
            "owner": group[0].owner or "",
            "hint": group[0].hint,
        }
        for slug, group in ordered
    ]


def _changes(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What earlier runs make of this one; passing as before is no news, and a first run has none."""
    counts = Counter(item.change for item in entries if item.change)
    told = [change for change in Change if change is not Change.STEADY and counts[change]]
    return [{"change": str(change), "count": counts[change]} for change in told] if told != [Change.UNKNOWN] else []


def _carried(verdicts: Mapping[str, Verdict]) -> str:
    """What earlier runs said about the cases that were not run again; empty when there are none."""
    carried = [found for verdict in verdicts.values() if (found := carried_of(verdict)) is not None]
    if not carried:
        return ""
    said = ", ".join(f"{count} {outcome}" for outcome, count in Counter(item.outcome for item in carried).most_common())
    runs = sorted({item.run_id for item in carried})
    return f"{said} (run{_s(runs)} {', '.join(runs)})"


def _rerun(verdicts: Mapping[str, Verdict]) -> str:
    names = [case for case, v in verdicts.items() if v.outcome in (Outcome.FAILED, Outcome.ERROR)]
    return rerun_line(names) if 0 < len(names) <= RERUN_NAMES else ""


def _rankings(view: RunView) -> list[dict[str, Any]]:
    wanted = ((Stage.MODEL, "Slowest downloads"), (Stage.SERVICE, "Slowest start-ups"))
    rankings = []
    for stage, title in wanted:
        entries = [
            {"case": slow.case, "anchor": anchor(slow.case), "seconds": slow.seconds, "share": slow.share}
            for slow in slowest(view, stage)
        ]
        if entries:
            rankings.append({"title": title, "name": f"s-{stage}", "entries": entries})
    return rankings


def _filters(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    words = {name: word for name, _, word in OUTCOMES}
    wanted = (("o", "Outcome", "state"), ("c", "Cause", "cause"), ("v", "Vendor", "vendor"), ("t", "Tier", "tier"),
              ("k", "Kind", "kind"), ("h", "Since before", "change"))  # fmt: skip
    filters = []
    for name, title, attribute in wanted:
        counts = Counter(getattr(item, attribute) for item in entries if getattr(item, attribute))
        options = [(value, f"{words.get(value, value)} ({counts[value]})") for value in sorted(counts, key=str.lower)]
        if options:
            filters.append({"name": name, "title": title, "options": options})
    return filters


def _footer(view: RunView) -> str:
    torn = f" {view.torn} journal lines were cut by a kill." if view.torn else ""
    return f"Rendered from the run's journal by pytest-modelrt; last event {view.last_time or 'none'}.{torn}"


def _joined(fragments: Iterable[Markup]) -> Markup:
    return Markup("\n".join(fragments))


def _navigation(links: Links) -> Markup:
    if not links:
        return Markup("")
    items = Markup("").join(Markup('<li><a href="{}">{}</a></li>').format(address, title) for title, address in links)
    return Markup('<nav aria-label="Other runs"><h2>Other runs</h2><ul>{}</ul></nav>').format(items)


def _s(items: Sequence[object]) -> str:
    return "s" * (len(items) != 1)


# ---------------------------------------------------------------------------------------------------- templates


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pytest_modelrt.reporting.html", ""),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=False,
    )
    environment.filters["span"] = lambda seconds: span_text(seconds) if seconds else "-"
    environment.filters["plain"] = _plain
    environment.filters["took"] = lambda seconds: f"{seconds:.0f}" if seconds else ""
    return environment


def _plain(text: object) -> Markup:
    """Text between tags: quotes stay as they are, requests are full of them."""
    return Markup(str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


@lru_cache(maxsize=4)
def _template(name: str) -> Any:
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _macros() -> Any:
    return _template("case.html.j2").module


@lru_cache(maxsize=4)
def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
