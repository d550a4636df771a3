"""Rerankers: the document that answers the question scores higher than one that does not."""

from __future__ import annotations

from typing import Any

import httpx

from pytest_modelrt.plan.model import Case
from pytest_modelrt.probes.judgement import numbers
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.probes.serving import check_served_name, check_unknown_name
from pytest_modelrt.probes.session import ProbeSession, Problem, run

RERANK = "/v1/rerank"
QUERY = "What is the capital of France?"
DOCUMENTS = ("Bananas are rich in potassium.", "Paris is the capital and largest city of France.")
RELEVANT = 1
"""The right document comes second, so that an answer in input order does not pass by luck."""


def rerank(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe a reranker with one question and two documents."""
    return run(ProbeSession(client, case, timeout), _rerank)


def _rerank(session: ProbeSession) -> str:
    session.not_checked.extend(("quality of the ranking beyond two documents", "throughput"))
    check_served_name(session)
    body = {"model": session.case.hub_id, "query": QUERY, "documents": list(DOCUMENTS)}
    scores = _scores(session.ask(RERANK, body))
    right, wrong = scores[RELEVANT], scores[1 - RELEVANT]
    session.facts["scores"] = [round(score, 4) for score in scores]
    session.checked.append("two finite scores")
    if right <= wrong:
        raise Problem("inference-garbage", f"the wrong document scores at least as high ({wrong:.4f} >= {right:.4f})")
    session.checked.append(f"the right document scores higher ({right:.4f} > {wrong:.4f})")
    check_unknown_name(session, RERANK, body)
    return f"right document {right:.4f}, wrong document {wrong:.4f}"


def _scores(answer: Any) -> list[float]:
    """Scores by place of the document, from a list of entries or from ``results``."""
    entries = answer.get("results", answer.get("data")) if isinstance(answer, dict) else answer
    if not isinstance(entries, list) or not entries:
        raise Problem("inference-empty", f"200 on {RERANK} without scores: {str(answer)[:200]}")
    found: dict[int, float] = {}
    for entry in entries:
        place = entry.get("index") if isinstance(entry, dict) else None
        if isinstance(place, int) and 0 <= place < len(DOCUMENTS):
            found[place] = numbers(entry.get("score", entry.get("relevance_score")), f"score {place}")[0]
    if len(found) != len(DOCUMENTS):
        raise Problem("inference-garbage", f"scores for {len(found)} of {len(DOCUMENTS)} documents")
    return [found[place] for place in range(len(DOCUMENTS))]
