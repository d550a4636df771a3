"""Embedding models: vectors of one length, finite, and different for different inputs."""

from __future__ import annotations

from typing import Any

import httpx

from pytest_modelrt.plan.model import Case
from pytest_modelrt.probes.judgement import cosine, norm, vectors
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.probes.picture import BLUE, RED, data_url, plain
from pytest_modelrt.probes.serving import check_served_name, check_unknown_name
from pytest_modelrt.probes.session import ProbeSession, Problem, run

EMBEDDINGS = "/v1/embeddings"
TEXTS = ("The cat sits on the mat.", "A cat is sitting on a rug.", "Interest rates rose by two percent.")
SAME = 0.99999
"""Cosine from which two vectors count as one."""


def embedding(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe an embedding model, with pictures where the model takes them."""
    return run(ProbeSession(client, case, timeout), _embedding)


def _embedding(session: ProbeSession) -> str:
    session.not_checked.extend(("quality of the embedding", "throughput"))
    check_served_name(session)
    with_pictures = session.case.probe_input == "image+text"
    inputs = _pictures() if with_pictures else list(TEXTS)
    body = {"model": session.case.hub_id, "input": inputs}
    found = vectors(_embeddings(session.ask(EMBEDDINGS, body)), len(inputs))
    session.facts["dimensions"] = len(found[0])
    session.checked.append(f"{len(found)} finite vectors of length {len(found[0])}, none zero")
    if cosine(found[0], found[-1]) > SAME:
        raise Problem("inference-garbage", "different inputs give the same vector")
    session.checked.append("different inputs give different vectors")
    if not with_pictures:
        _check_neighbours(session, found)
    check_unknown_name(session, EMBEDDINGS, {**body, "input": inputs[:1]})
    return f"{len(found)} vectors of length {len(found[0])}, norm {norm(found[0]):.3f}"


def _check_neighbours(session: ProbeSession, found: list[list[float]]) -> None:
    near, far = cosine(found[0], found[1]), cosine(found[0], found[2])
    session.facts.update(cosine_near=round(near, 4), cosine_far=round(far, 4))
    if near > far:
        session.checked.append(f"a paraphrase is closer than another topic ({near:.2f} > {far:.2f})")
    else:
        session.warnings.append(f"a paraphrase is not closer than another topic ({near:.2f} <= {far:.2f})")


def _pictures() -> list[dict[str, str]]:
    return [
        {"text": "a red square", "image": data_url(plain(RED))},
        {"text": "a blue square", "image": data_url(plain(BLUE))},
    ]


def _embeddings(answer: Any) -> list[Any]:
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Problem("inference-empty", f"200 on {EMBEDDINGS} without data: {str(answer)[:200]}")
    return [entry.get("embedding") if isinstance(entry, dict) else None for entry in entries]
