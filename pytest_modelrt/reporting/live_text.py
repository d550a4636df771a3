"""The status block as lines that fit a terminal: each a list of pieces of text with a style. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.reporting.live import Download, LiveState, RunningCase, TierLine
from pytest_modelrt.reporting.numbers import OUTCOMES, span_text

Piece = tuple[str, str]
"""Text and style: one of ``STYLES`` or nothing."""
Line = list[Piece]
STYLES = {"good": "green", "bad": "bold red", "warn": "yellow", "dim": "dim", "head": "bold", "busy": "cyan"}
SILENT = 15.0
"""Real seconds without an event after which that is said."""
_COLOURS = {"passed": "good", "failed": "bad", "error": "warn"}
_NARROW, _BAR, _SHORTEST_BAR = 100, 30, 5


def plain(line: Line) -> str:
    """A line without styles."""
    return "".join(text for text, _ in line).rstrip()


def frame(state: LiveState, width: int, height: int, now: datetime) -> list[Line]:
    """The block, at most ``height`` lines of at most ``width`` columns; what does not fit is counted."""
    head = [*_head(state, now, width), *_progress(state, width), *_tier_lines(state, width), []]
    room = max(3, height - len(head))
    running = _table(f"Running ({len(state.running)})", [_running_line(c, width) for c in state.running])
    downloads = _table(f"Downloading ({len(state.downloads)})", [_download_line(d, width) for d in state.downloads])
    latest = _table("Did not pass, latest first", [_latest_line(v, width) for v in state.latest])
    shown = _fit([running, downloads, latest], room)
    return [_cut(line, width) for line in [*head, *shown]][:height]


def status_line(state: LiveState) -> str:
    """One line for a log."""
    counts = ", ".join(f"{count} {word}" for _, count, word in _counts(state))
    left = f", about {span_text(state.remaining / state.speed)} left" if state.remaining is not None else ""
    return f"{state.run_id} {state.state}: {state.done} of {state.total} ({counts}), {len(state.running)} running{left}"


def _head(state: LiveState, now: datetime, width: int) -> list[Line]:
    real = span_text(state.elapsed / state.speed)
    style = {"running": "busy", "finished": "good"}.get(state.state, "bad")
    first: Line = [("modelrt ", "head"), (state.run_id, ""), ("  ", ""), (state.state, style), (f"  {real}", "")]
    if state.remaining is not None:
        left = state.remaining / state.speed
        end = (now.astimezone(UTC) + timedelta(seconds=left)).strftime("%H:%M")
        first.append((f"  ETA {end} UTC (in {span_text(left)})", "head"))
    if state.state == "running" and state.silent > SILENT:
        first.append((f"  silent for {span_text(state.silent)}", "warn"))
    cluster_time = f"  {span_text(state.elapsed)} of cluster time"
    if state.speed != 1 and len(plain(first)) + len(cluster_time) <= width:
        first.append((cluster_time, "dim"))
    breaker = ("breaker closed", "dim") if state.breaker == "closed" else (f"breaker {state.breaker}", "bad")
    return [first, [breaker, ("  " + state.cluster, "dim")]]


def _progress(state: LiveState, width: int) -> list[Line]:
    """The counts whole, the bar in the room they leave."""
    counts: Line = [(f" {state.done}/{state.total}", "head")]
    counts += [(f"  {count} {word}", _COLOURS.get(name, "")) for name, count, word in _counts(state)]
    bar = max(_SHORTEST_BAR, min(_BAR, width - len(plain(counts))))
    filled = round(bar * state.done / state.total) if state.total else 0
    return [[("█" * filled, "good"), ("░" * (bar - filled), "dim"), *counts], []]


def _counts(state: LiveState) -> Iterable[tuple[str, int, str]]:
    return ((name, state.counts[name], word) for name, _, word in OUTCOMES if state.counts.get(name))


def _tier_lines(state: LiveState, width: int) -> list[Line]:
    """A line per tier; side by side where there is room."""
    tiers = [_tier(tier) for tier in state.tiers]
    gpus: Line = [(f"GPUs  {state.gpus_held:>3}/{state.gpu_budget}", "head")]
    if width < _NARROW:
        return [*tiers, gpus]
    return [[piece for tier in [*tiers, gpus] for piece in [*tier, ("   ", "")]]]


def _tier(tier: TierLine) -> Line:
    used = f"{tier.name:<5} {tier.running:>2}/{tier.limit:<2} "
    full = min(tier.running, tier.limit)
    blocks: Line = [("■" * full, "busy"), ("·" * (tier.limit - full), "dim")]
    over: Line = [("■" * (tier.running - full), "bad")] if tier.running > full else []
    return [(used, "head" if tier.running else "dim"), *blocks, *over, (f" {tier.waiting} waiting", "dim")]


def _running_line(case: RunningCase, width: int) -> Line:
    name = max(20, min(44, width - 46))
    return [
        (f"{_short(case.case, name):<{name}} ", ""),
        (f"{case.tier:<5} ", "dim"),
        (f"{case.stage:<9} ", "busy"),
        (f"{span_text(case.stage_age):>9}  ", "head"),
        (case.doing, "dim"),
    ]


def _download_line(item: Download, width: int) -> Line:
    name = max(20, min(44, width - 46))
    speed = f"{_bytes(item.speed)}/s" if item.speed is not None else "ahead" if item.ahead else "speed not known yet"
    eta = f"{span_text(item.eta)} left" if item.eta is not None else "longer than usual"
    return [
        (f"{_short(item.case, name):<{name}} ", ""),
        (f"{_bytes(item.size):>8} ", ""),
        ("" if item.ahead else f"{item.nodes_ready} ready  ", "dim"),
        (f"{speed}  {eta}", "warn" if item.speed == 0 or (item.eta is None and not item.ahead) else ""),
    ]


def _latest_line(verdict: Verdict, width: int) -> Line:
    name = max(20, min(44, width - 46))
    style = "bad" if verdict.outcome is Outcome.FAILED else "warn"
    summary = " ".join(verdict.summary.split())
    return [
        (f"{_short(verdict.case, name):<{name}} ", ""),
        (f"{verdict.cause or verdict.outcome} ", style),
        (summary, "dim"),
    ]


def _table(title: str, lines: list[Line]) -> list[Line]:
    return [[(title, "head")], *([("  ", ""), *line] for line in lines)] if lines else []


def _fit(tables: Sequence[list[Line]], room: int) -> list[Line]:
    """The tables one below the other; the first ones keep most lines, each at least its title and a line."""
    wanted = [table for table in tables if table]
    result: list[Line] = []
    for place, table in enumerate(wanted):
        rest = sum(min(len(later), 3) for later in wanted[place + 1 :])
        share = max(2, room - len(result) - rest)
        if len(table) <= share:
            result += table
        else:
            result += [*table[: share - 1], [(f"  ... and {len(table) - share + 1} more", "dim")]]
    return result


def _cut(line: Line, width: int) -> Line:
    left, kept = width, []
    for text, style in line:
        printable = "".join(char if char.isprintable() else " " for char in text)
        if left <= 0:
            break
        kept.append((printable if len(printable) <= left else printable[: max(0, left - 1)] + "…", style))
        left -= len(printable)
    return kept


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-(limit - limit // 2) :]}"


def _bytes(size: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
