"""The summary page's section about the GPUs a run held: a timeline per tier, in characters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pytest_modelrt.journal.trace import RunView
from pytest_modelrt.plan.model import Campaign, Case
from pytest_modelrt.reporting.numbers import Holding, Scale, gpu_holdings, gpu_text, peak, span_text, steps
from pytest_modelrt.reporting.page import Page

COLUMNS = 60
_LEVELS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
_SECTION = re.compile(r"^GPUs Held", re.IGNORECASE)
_ALL = "all"


def gpu_lines(view: RunView, cases: Mapping[str, Case], campaign: Campaign) -> list[str]:
    """What the section says about a run; nothing when the run held no GPUs."""
    scale = Scale.of(view)
    held = {tier: found for tier, found in gpu_holdings(view, cases, campaign, scale).items() if found}
    if not held or view.info is None:
        return []
    everything = [item for found in held.values() for item in found]
    budget = int(view.info.limits.get("gpu_budget", campaign.gpu_budget))
    name_width = max(map(len, [*held, _ALL]))
    rows = [_row(tier.ljust(name_width), found, scale.end) for tier, found in [*held.items(), (_ALL, everything)]]
    return [
        f"Run {view.info.run_id}, {span_text(scale.end)} of cluster time. {gpu_text(held, budget, scale)} "
        f"A column is {span_text(scale.end / COLUMNS)}; its height is the mean against the row's peak.",
        "",
        "```text",
        *rows,
        "```",
    ]


def write_gpus(page: Page, lines: Sequence[str]) -> None:
    """Replace what the section says; without anything to say, and in a page without the section, all stays."""
    section = page.section(_SECTION)
    if section is None or not lines:
        return
    start, end = section[0] + 1, section[1]
    end = next((place for place, line in page.outside_fences(start, end) if line.startswith("---")), end)
    del page.lines[start:end]
    page.insert(start, ["", *lines, ""])


def _row(name: str, held: Sequence[Holding], end: float) -> str:
    top = peak(steps(held))
    width = end / COLUMNS
    means = [_mean(held, number * width, (number + 1) * width) for number in range(COLUMNS)]
    return f"{name}  {''.join(_bar(mean, top) for mean in means)}  peak {top}"


def _mean(held: Sequence[Holding], start: float, end: float) -> float:
    """GPUs held between two moments, on average."""
    shared = (max(0.0, min(item.end, end) - max(item.start, start)) * item.amount for item in held)
    return sum(shared) / (end - start)


def _bar(mean: float, top: int) -> str:
    if mean <= 0 or top <= 0:
        return _NOTHING
    return _LEVELS[min(len(_LEVELS) - 1, int(mean / top * len(_LEVELS)))]
