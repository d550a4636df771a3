"""The campaign page's section about models behind the gateway: which tier may ask which model. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from pytest_modelrt.journal.model import Verdict
from pytest_modelrt.reporting.maas_md import MATRIX_WORDS, MatrixCell, TierMatrix

_SECTION = Markup(
    '<section aria-labelledby="h-gateway"><h2 id="h-gateway">Models behind the gateway</h2><div class="scroll">'
    '<table><caption class="quiet">{}</caption><thead><tr><th scope="col">Tier</th>{}</tr></thead>'
    "<tbody>{}</tbody></table></div></section>"
)
_HEAD = Markup('<th scope="col">{}</th>')
_ROW = Markup('<tr><th scope="row">{}</th>{}</tr>')
_CELL = Markup('<td><span class="chip o-{}">{}</span></td>')


def tier_section(verdicts: Iterable[Verdict]) -> Markup:
    """The tier matrix as a section; empty when no test of the run asked."""
    matrix = TierMatrix.of(verdicts)
    if not matrix.rows:
        return Markup("")
    rows = (_ROW.format(tier, _joined(map(_cell, cells))) for tier, cells in matrix.rows)
    return _SECTION.format(MATRIX_WORDS.replace("`", ""), _joined(map(_HEAD.format, matrix.models)), _joined(rows))


def _cell(found: MatrixCell | None) -> Markup:
    return Markup("<td>-</td>") if found is None else _CELL.format("passed" if found.good else "failed", found)


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
