"""Writes the pages into the reports directory: after every case, atomically, the same bytes for the same data."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.journal.adopt import adopt, as_result, dead_runs, tells
from pytest_modelrt.journal.files import JournalError, atomic_write, remove_halves, replace_changed, write_if_changed
from pytest_modelrt.journal.history import Trend, Trends, news_of
from pytest_modelrt.journal.model import RunInfo
from pytest_modelrt.journal.reader import JournalReader, read_run
from pytest_modelrt.journal.results import Result, ResultsStore
from pytest_modelrt.journal.rundir import RUNS, list_runs, read_info
from pytest_modelrt.journal.writer import PREFIX, SUFFIX
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.reporting import failed_md, maas_md, summary_md, tracking_md, vendor_md
from pytest_modelrt.reporting.html import HtmlPage
from pytest_modelrt.reporting.html.page import Links
from pytest_modelrt.reporting.models import Model, models_of
from pytest_modelrt.reporting.summary_gpus import gpu_lines

HTML = "index.html"
OTHER_RUNS = 20
KILLED_RUNS = 5
"""So many of the latest killed runs get their pages finished when a run begins."""
DUTY = 20.0
"""Pages that were just rendered wait this many times as long as that took: they never cost more than a twentieth of
the time, and a campaign whose cases end minutes apart is rendered after every one."""
SUMMARY = "test-results-summary.md"
FAILED = "failed-models.md"
TRACKING = "test-tracking.md"


@dataclass(frozen=True, slots=True)
class Places:
    """Where pages go; the defaults lie in the reports directory."""

    summary: Path
    vendors: Path
    failed: Path
    tracking: Path
    keep_case: bool = False
    """Vendor pages are named as the plan spells the vendor, instead of in lower case."""

    @classmethod
    def under(cls, reports: Path) -> Places:
        """The usual places."""
        return cls(reports / SUMMARY, reports, reports / FAILED, reports / TRACKING)

    def vendor_page(self, vendor: str) -> Path:
        """File of a vendor's page; a vendor's name cannot leave the directory."""
        safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in vendor).lstrip(".") or "unknown"
        return self.vendors / f"{safe if self.keep_case else safe.lower()}-results.md"


def write_pages(
    reports_dir: Path,
    plan: Plan,
    campaign: Campaign,
    results: ResultsStore,
    run: RunInfo | None,
    *,
    changed: Collection[str] | None = None,
    places: Places | None = None,
    gpus: Sequence[str] = (),
    more: Mapping[Path, bytes] | None = None,
) -> list[Path]:
    """Bring all Markdown pages up to date; returns the files that changed.

    Args:
        reports_dir: where the pages go.
        plan: rows of the pages.
        campaign: what the cluster is said to be.
        results: the one source of everything shown.
        run: its results replace what an existing page says; results of other runs only fill gaps.
        changed: vendors whose pages may have changed; None: any.
        places: other file names.
        gpus: lines for the summary about the GPUs the run held.
        more: further pages, put in place at the same moment.

    Raises:
        JournalError: the results cannot be read, or another run holds the lock for too long.
        OSError: the directory cannot be written.
    """
    places = places or Places.under(reports_dir)
    with results.exclusively():
        latest = {key: history.latest for key, history in results.by_key.items()}
        models = models_of(plan.cases, latest.values())
        cluster = describe_cluster(campaign, run)
        pages = {places.summary: _summary(places.summary, models, latest, results, run, cluster, gpus)}
        news = {key: news_of(history) for key, history in results.by_key.items()}
        pages |= _vendor_pages(places, plan, models, latest, cluster, changed, news)
        pages[places.tracking] = _tracking(plan, models, latest, results, run, cluster)
        pages[places.failed] = failed_md.render(results.by_key.values())
        return replace_changed(pages | dict(more or {}))


def describe_cluster(campaign: Campaign, run: RunInfo | None) -> str:
    """``14x H100 80GB nodes (8 cards each, 80GB/card)``, with ``simulated`` where it is."""
    hardware = campaign.hardware
    memory = hardware.gpu_memory_bytes / 1e9
    kind = f"{hardware.description} " if hardware.description else ""
    text = f"{hardware.nodes}x {kind}nodes ({hardware.gpus_per_node} cards each, {memory:g}GB/card)"
    return f"{text}, simulated" if run is not None and run.simulated else text


def _summary(
    path: Path,
    models: list[Model],
    latest: dict[str, Result],
    results: ResultsStore,
    run: RunInfo | None,
    cluster: str,
    gpus: Sequence[str],
) -> bytes:
    existing = path.read_bytes() if path.exists() else None
    if existing is not None and not summary_md.usable(existing):
        atomic_write(path.with_name(f"{path.name}.orig"), existing)  # somebody's page without our markers: kept aside
        existing = None
    run_id = run.run_id if run else None
    attempts = results.attempts
    if existing is not None:
        attempts = [result for result in attempts if result.run_id == run_id]
    return summary_md.render(
        existing,
        models,
        latest,
        attempts,
        current_run=run_id,
        updated=_newest(results, run),
        cluster=cluster,
        gpus=gpus,
    )


def _tracking(
    plan: Plan,
    models: list[Model],
    latest: dict[str, Result],
    results: ResultsStore,
    run: RunInfo | None,
    cluster: str,
) -> bytes:
    """A planned model has a runtime file unless a run found that it has none; models behind the gateway need none."""
    rows = {Model.of_case(case).key: case for case in plan.cases}
    lacking = {key for key, result in latest.items() if result.verdict.cause == "config-missing"}
    return tracking_md.render(
        [model for model in models if model.vendor != maas_md.VENDOR],
        {key: result for key, result in latest.items() if result.vendor != maas_md.VENDOR},
        set(rows) - lacking,
        rows,
        updated=_newest(results, run)[:10],
        cluster=cluster,
    )


def _newest(results: ResultsStore, run: RunInfo | None) -> str:
    """When the newest result fell, as the summary writes it; never the time of rendering."""
    moments = [result.verdict.finished for result in results.attempts] or ([run.started] if run else ["-"])
    return max(moments)[:19].replace("T", " ") + " UTC"


def _vendor_pages(
    places: Places,
    plan: Plan,
    models: list[Model],
    latest: dict[str, Result],
    cluster: str,
    changed: Collection[str] | None,
    news: dict[str, str],
) -> dict[Path, bytes]:
    by_vendor: dict[str, list[Model]] = {}
    for model in models:
        by_vendor.setdefault(model.vendor, []).append(model)
    cases = plan.by_id()
    return {
        places.vendor_page(vendor): maas_md.render([latest[model.key] for model in group], cluster)
        if vendor == maas_md.VENDOR
        else vendor_md.render(vendor, group, latest, cases, cluster, news)
        for vendor, group in by_vendor.items()
        if (changed is None or vendor in changed) and any(model.key in latest for model in group)
    }


class RunPages:
    """Keeps the pages of a running campaign up to date: the controller calls ``update_soon`` after every case."""

    def __init__(
        self, reports: Path, plan: Plan, campaign: Campaign, run_dir: Path, *, places: Places | None = None
    ) -> None:
        """Open the results store, bring in what killed runs did not live to put there, and finish their pages.

        Raises:
            JournalError: the results store is corrupt.
        """
        self.reader = JournalReader(run_dir)
        self.store = ResultsStore.open(reports)
        self._reports = reports
        self._places = places
        self._plan = plan
        self._cases = plan.by_id()
        self._campaign = campaign
        adopt(reports, self.store, self._cases, run_dir)
        self._html = HtmlPage(plan, campaign, Trends(self.store, self._cases))
        self._others = _other_runs(reports, run_dir)
        self._finish_killed(run_dir)
        self._clock = ScaledClock()
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._waiting: set[str] | None = None
        """Vendors whose pages wait to be rendered; None: any."""
        self._asked = threading.Event()
        """An update was asked for, and has not begun."""
        self._trouble: JournalError | OSError | None = None
        """Of an update in a thread; the next one that is asked for raises it."""

    def update_soon(self) -> None:
        """``update``, in a thread: a test that waits for its GPUs does not wait for a disk as well.

        Raises:
            JournalError, OSError: the one before was in trouble.
        """
        if self._trouble is not None:
            raise self._trouble
        if not self._asked.is_set():
            self._asked.set()
            threading.Thread(target=self._update_now, name="modelrt-pages", daemon=True).start()

    def _update_now(self) -> None:
        with self._lock:
            self._asked.clear()
        try:
            self.update()
        except (JournalError, OSError) as error:
            self._trouble = error

    def update(self) -> list[Path]:
        """Take what is new from the journals into store and pages; returns the files that changed.

        The store is always up to date afterwards. Pages that were rendered a moment ago follow a moment later, from a
        thread; at the end of the run they are rendered at once.

        Raises:
            JournalError: journal, store or lock are in trouble.
            OSError: the disk does not take it.
        """
        with self._lock:
            info = self._take()
            if info is None:
                return []
            wait = self._not_before - self._clock.monotonic()
            if wait > 0 and not self.reader.view.complete:
                self._render_later(wait)
                return []
            return self._render(info)

    def flush(self) -> list[Path]:
        """Render now whatever waits; returns the files that changed."""
        with self._lock:
            info = self._take()
            return self._render(info) if info is not None else []

    def _take(self) -> RunInfo | None:
        """Bring the store up to date."""
        judged = self.reader.refresh()
        info = self.reader.view.info
        if info is None:
            return None
        for trace in filter(tells, judged):
            self.store.add(as_result(trace, info, self._cases))
            if self._waiting is not None:
                self._waiting.add(trace.case.rpartition("/")[0])
        return info

    def _render(self, info: RunInfo) -> list[Path]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        started = self._clock.monotonic()
        changed = write_pages(
            self._reports,
            self._plan,
            self._campaign,
            self.store,
            info,
            changed=self._waiting,
            places=self._places,
            gpus=gpu_lines(self.reader.view, self._cases, self._campaign),
            more=self._html_pages(info.run_id),
        )
        self._waiting = set()
        ended = self._clock.monotonic()
        self._not_before = ended + DUTY * (ended - started)
        return changed

    def _render_later(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._render_in_time)
            self._timer.daemon = True
            self._timer.start()

    def _render_in_time(self) -> None:
        """Trouble is left to the next ``update``, which meets it again and can say so."""
        with self._lock, suppress(JournalError, OSError):
            self._timer = None
            info = self.reader.view.info
            if info is not None:
                self._render(info)

    def trends(self) -> dict[str, Trend]:
        """How the run's cases compare with earlier runs, those that were judged in this one."""
        view, trends = self.reader.view, Trends(self.store, self._cases)
        found = {case: trends.of(trace, view.info) for case, trace in view.latest.items()}
        return {case: trend for case, trend in found.items() if trend is not None}

    def _html_pages(self, run_id: str) -> dict[Path, bytes]:
        """The page of this run, in its directory and as the entrance of the reports directory."""
        page, entrance = self._html.render_for(self.reader.view, _beside(self._others), _below(self._others))
        pages = {self.reader.run_dir / HTML: page}
        if not self._others or run_id >= self._others[0][1]:
            pages[self._reports / HTML] = entrance
        return pages

    def _finish_killed(self, run_dir: Path) -> None:
        """Pages of killed runs that are older than their journals: nobody was left to finish them."""
        remove_halves(self._reports)
        for path in dead_runs(self._reports, run_dir)[-KILLED_RUNS:]:
            remove_halves(path)
            if _is_behind(path):
                html = HtmlPage(self._plan, self._campaign, Trends(self.store, self._cases))
                write_if_changed(path / HTML, html.render(read_run(path), _beside(_other_runs(self._reports, path))))


def _is_behind(run_dir: Path) -> bool:
    """Whether the journal grew after its page was written."""
    page = run_dir / HTML
    written = page.stat().st_mtime if page.exists() else 0.0
    return any(journal.stat().st_mtime > written for journal in run_dir.glob(f"{PREFIX}*{SUFFIX}"))


def _beside(runs: Links) -> Links:
    """Addresses of other runs' pages, seen from a run's directory."""
    return [(title, f"../{name}/{HTML}") for title, name in runs]


def _below(runs: Links) -> Links:
    """The same, seen from the reports directory."""
    return [(title, f"{RUNS}/{name}/{HTML}") for title, name in runs]


def _other_runs(reports: Path, run_dir: Path) -> list[tuple[str, str]]:
    """Title and directory name of other runs, latest first."""
    others = [path for path in list_runs(reports) if path.name != run_dir.name]
    return [(f"{path.name}, {read_info(path).started[:16].replace('T', ' ')} UTC", path.name)
            for path in others[-OTHER_RUNS:][::-1]]  # fmt: skip
