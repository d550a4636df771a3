"""Drawings of the campaign page as inline SVG, coloured by the page's own style sheet. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup, escape

from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.trace import CaseTrace, RunView
from pytest_modelrt.reporting.numbers import Holding, Scale, openings, peak, span_text, state, steps

WIDTH = 1100.0
LEFT, RIGHT = 52.0, 8.0
EDGE = 28.0
"""Half of a label of the axis: nearer to the end it is set left of its tick."""
LANE, GAP = 20.0, 5.0
COARSE = 2000
"""Attempts from which on those that passed are drawn as one shape, without stages and links."""
_STEPS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)


class Timeline:
    """One lane per worker; a case's stages as bars, its end marked when it did not pass, breaker openings behind.

    Bars are drawn in cluster seconds and stretched by the drawing, so those of judged attempts are drawn only once.
    """

    def __init__(self) -> None:
        self._drawn: dict[tuple[int, float], str] = {}

    def draw(self, view: RunView, scale: Scale, anchors: Mapping[str, str]) -> Markup:
        """The whole drawing."""
        lanes = sorted({trace.worker for trace in view.traces}, key=_natural)
        height = 26 + len(lanes) * (LANE + GAP)
        label = f"Timeline of {len(view.traces)} attempts on {len(lanes)} workers"
        parts = [_head(height, "timeline", label, role="group"), *_breaker_bands(view, scale, height)]
        parts += _axis(scale, height)
        tops = {lane: 4 + number * (LANE + GAP) for number, lane in enumerate(lanes)}
        parts += [
            f'<text x="{LEFT - 6}" y="{top + 14:.0f}" class="lane">{escape(lane)}</text>' for lane, top in tops.items()
        ]
        parts.append(
            f'<svg x="{LEFT}" y="0" width="{WIDTH - LEFT - RIGHT}" height="{height:.0f}" '
            f'viewBox="0 0 {scale.end:.1f} {height:.0f}" preserveAspectRatio="none">'
        )
        coarse = len(view.traces) > COARSE
        quiet = []
        for number, trace in enumerate(view.traces):
            top = tops[trace.worker]
            if coarse and trace.verdict is not None and trace.verdict.outcome is Outcome.PASSED:
                quiet.append(_outline(scale.at(trace.started), scale.at(trace.finished), top))
            else:
                parts.append(self._bars(number, trace, scale, top, anchors.get(trace.case, "")))
        if quiet:
            parts.append(f'<path class="o-passed" d="{"".join(quiet)}"/>')
        return Markup("".join([*parts, "</svg></svg>"]))

    def _bars(self, number: int, trace: CaseTrace, scale: Scale, top: float, anchor: str) -> str:
        if trace.verdict is None or not scale.settled(trace.finished):
            return _bars(trace, scale, top, anchor)
        key = (number, top)
        if key not in self._drawn:
            self._drawn[key] = _bars(trace, scale, top, anchor)
        return self._drawn[key]


def _outline(start: float, end: float, top: float) -> str:
    """A bar as a piece of one large path: thousands of elements would take the browser seconds."""
    width = max(end - start, 1.0)
    return f"M{start:.0f} {top:.0f}h{width:.0f}v{LANE:.0f}h-{width:.0f}z"


def _bars(trace: CaseTrace, scale: Scale, top: float, anchor: str) -> str:
    """The bars of one attempt, as one link with one tooltip."""
    start, end = scale.at(trace.started), scale.at(trace.finished)
    verdict = trace.verdict
    cause = f", {verdict.cause}" if verdict and verdict.cause else ""
    said = f"{trace.case}: {state(trace)}{cause}, {span_text(end - start)}"
    spans = "".join(f", {span.stage} {span_text(span.seconds)}" for span in trace.spans if span.seconds)
    bars = [f'<a href="#{anchor}" tabindex="-1"><title>{escape(said + spans)}</title>']
    if not trace.spans:
        bars.append(_bar(start, end, top, LANE, f"o-{state(trace)}"))
    for span in trace.spans:
        bars.append(_bar(scale.at(span.started), scale.at(span.finished), top, LANE, f"s-{span.stage}"))
    if verdict is None or verdict.outcome is not Outcome.PASSED:
        bars.append(_bar(start, end, top + LANE - 4, 4, f"o-{state(trace)}"))
    return "".join([*bars, "</a>"])


def _bar(start: float, end: float, top: float, height: float, name: str) -> str:
    """A bar in cluster seconds, at least one of them wide."""
    width = max(end - start, 1.0)
    return f'<rect x="{start:.1f}" y="{top:.0f}" width="{width:.1f}" height="{height:.0f}" class="{name}"/>'


def gpu_chart(held: Mapping[str, Sequence[Holding]], scale: Scale, budget: int) -> Markup:
    """GPUs held over time, tiers stacked, against the budget."""
    height, base = 190.0, 160.0
    below: list[Holding] = []
    stairs = []
    for holdings in held.values():
        below = [*below, *holdings]
        stairs.append(steps(below))
    highest = max(map(peak, stairs), default=0)
    unit = (base - 14) / (max(budget, highest) or 1)
    label = f"GPUs held over time: at most {highest} of {budget}"
    parts = [_head(height, "area", label), *_axis(scale, height)]
    parts += [_area(found, scale, base, unit, f"tier{number}") for number, found in enumerate(stairs)][::-1]
    line = base - budget * unit
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{line:.1f}" y2="{line:.1f}" class="limit"/>')
    parts.append(f'<text x="{LEFT - 6}" y="{line + 4:.1f}" class="lane">{budget}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{base + 4:.1f}" class="lane">0</text>')
    return Markup("".join([*parts, "</svg>"]))


def slot_chart(stairs: Sequence[tuple[float, int]], scale: Scale, limit: int, number: int) -> Markup:
    """Cases of one tier at once, against its limit."""
    width, height, base = 260.0, 64.0, 58.0
    highest = peak(stairs)
    label = f"Cases at once: at most {highest} of {limit}"
    unit = (base - 10) / (max(limit, highest) or 1)
    points = _points(stairs, lambda moment: moment / scale.end * width, lambda level: base - level * unit, width)
    line = base - limit * unit
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}" class="small">'
        f'<path d="M0,{base} {points} L{width},{base} Z" class="tier{number}"/>'
        f'<line x1="0" x2="{width}" y1="{line:.1f}" y2="{line:.1f}" class="limit"/></svg>'
    )


def _head(height: float, name: str, label: str, role: str = "img") -> str:
    return f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="{role}" aria-label="{escape(label)}" class="{name}">'


def _x(moment: float, scale: Scale) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(moment, scale.end) / scale.end


def _rect(start: float, end: float, scale: Scale, top: float, height: float, name: str) -> str:
    left = _x(start, scale)
    width = max(_x(end, scale) - left, 0.6)
    return f'<rect x="{left:.1f}" y="{top:.0f}" width="{width:.1f}" height="{height:.0f}" class="{name}"/>'


def _axis(scale: Scale, height: float) -> list[str]:
    """Ticks with cluster time."""
    step = next((step for step in _STEPS if scale.end / step <= 10), scale.end / 10)
    parts = []
    for number in range(int(scale.end // step) + 1):
        x = _x(number * step, scale)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 18:.0f}" class="tick"/>')
        name = "time" if x < WIDTH - EDGE else "lane"
        parts.append(
            f'<text x="{min(x, WIDTH):.1f}" y="{height - 4:.0f}" class="{name}">{span_text(number * step)}</text>'
        )
    return parts


def _breaker_bands(view: RunView, scale: Scale, height: float) -> list[str]:
    return [
        f"<g><title>{escape(f'breaker open: {found.why}')}</title>"
        f"{_rect(found.start, found.end, scale, 0, height - 18, 'breaker')}</g>"
        for found in openings(view, scale)
    ]


def _area(stairs: Sequence[tuple[float, int]], scale: Scale, base: float, unit: float, name: str) -> str:
    points = _points(stairs, lambda moment: _x(moment, scale), lambda level: base - level * unit, _x(scale.end, scale))
    return f'<path d="M{LEFT},{base} {points} L{_x(scale.end, scale):.1f},{base} Z" class="{name}"/>'


def _points(
    stairs: Sequence[tuple[float, int]], x: Callable[[float], float], y: Callable[[int], float], end: float
) -> str:
    """A staircase as path commands: across, then up or down."""
    parts = [f"H{x(moment):.1f} V{y(level):.1f}" for moment, level in stairs]
    return " ".join([*parts, f"H{end:.1f}"])


def _natural(worker: str) -> tuple[int, int, str]:
    """``gw2`` before ``gw10``, ``main`` first."""
    digits = worker.removeprefix("gw")
    return (1, int(digits), worker) if digits.isdigit() else (0, 0, worker)
