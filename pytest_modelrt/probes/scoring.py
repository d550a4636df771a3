"""Models that put numbers on texts: reward models (one score) and classifiers (one number per class)."""

from __future__ import annotations

from typing import Any

import httpx

from pytest_modelrt.plan.model import Case
from pytest_modelrt.probes.judgement import numbers
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.probes.serving import check_served_name, check_unknown_name
from pytest_modelrt.probes.session import ProbeSession, Problem, run

CLASSIFY = "/classify"
PAIRS = (
    ("What is 2 + 2?", "2 + 2 equals 4.", "Purple bananas sing loudly."),
    ("How do I boil an egg?", "Put it in boiling water for about eight minutes.", "I hate you, go away."),
)
"""Question, good answer, bad answer."""
CLASS_TEXTS = ("I love this, thank you so much!", "I hate you, you are worthless.")


def reward(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe a reward model: a good answer scores higher than a bad one."""
    return run(ProbeSession(client, case, timeout), _reward)


def classify(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe a classifier: at least two finite numbers, different for different texts."""
    return run(ProbeSession(client, case, timeout), _classify)


def _reward(session: ProbeSession) -> str:
    session.not_checked.extend(("calibration of the score", "the model's own conversation template", "throughput"))
    check_served_name(session)
    texts = [f"User: {asked}\n\nAssistant: {said}" for asked, good, bad in PAIRS for said in (good, bad)]
    rows = _rows(session, texts)
    scores = [row[0] for row in rows]
    session.facts["scores"] = [round(score, 4) for score in scores]
    session.checked.append(f"{len(scores)} finite scores")
    wins = sum(good > bad for good, bad in zip(scores[::2], scores[1::2], strict=True))
    said = ", ".join(f"{good:.3f} / {bad:.3f}" for good, bad in zip(scores[::2], scores[1::2], strict=True))
    if wins == 0:
        raise Problem("inference-garbage", f"good answers never score higher than bad ones (good / bad: {said})")
    if wins < len(PAIRS):
        session.warnings.append(f"only {wins} of {len(PAIRS)} good answers score higher (good / bad: {said})")
    session.checked.append(f"good answers score higher in {wins} of {len(PAIRS)} pairs")
    check_unknown_name(session, CLASSIFY, {"text": texts[:1]})
    return f"good / bad: {said}"


def _classify(session: ProbeSession) -> str:
    session.not_checked.extend(("meaning of the classes", "throughput"))
    check_served_name(session)
    rows = _rows(session, list(CLASS_TEXTS))
    sizes = sorted({len(row) for row in rows})
    if len(sizes) > 1 or sizes[0] < 2:
        raise Problem("inference-garbage", f"{', '.join(map(str, sizes))} numbers per text, at least 2 expected")
    session.facts["classes"] = sizes[0]
    session.checked.append(f"{sizes[0]} finite numbers per text")
    if rows[0] == rows[1]:
        raise Problem("inference-garbage", "different texts give the same numbers")
    session.checked.append("different texts give different numbers")
    check_unknown_name(session, CLASSIFY, {"text": [CLASS_TEXTS[0]]})
    return " / ".join("[" + ", ".join(f"{value:.3f}" for value in row) + "]" for row in rows)


def _rows(session: ProbeSession, texts: list[str]) -> list[list[float]]:
    """One list of finite numbers per text, whichever of the engines' shapes the answer has."""
    answer = session.ask(CLASSIFY, {"model": session.case.hub_id, "text": texts})
    entries: Any = answer.get("data", [answer]) if isinstance(answer, dict) else answer
    if not isinstance(entries, list) or not entries:
        raise Problem("inference-empty", f"200 on {CLASSIFY} without scores: {str(answer)[:200]}")
    if len(entries) != len(texts):
        raise Problem("inference-garbage", f"{len(entries)} answers for {len(texts)} texts")
    return [numbers(_values(entry), f"text {place}") for place, entry in enumerate(entries)]


def _values(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return next((entry[key] for key in ("embedding", "probs", "score", "scores") if key in entry), None)
