"""Checks that every kind shares: the served name is listed, an unknown one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pytest_modelrt.probes.session import ProbeSession, Problem, Refused

UNKNOWN_MODEL = "modelrt/no-such-model"


def check_served_name(session: ProbeSession) -> None:
    """``/v1/models`` must list the served name.

    Raises:
        Problem: it lists other names only, or the server does not answer.
    """
    try:
        answer = session.get("/v1/models")
    except Refused as refusal:
        if refusal.status not in (404, 405):
            raise
        session.not_checked.append(f"served name (HTTP {refusal.status} on /v1/models)")
        return
    entries = answer.get("data") if isinstance(answer, dict) else None
    names = [str(entry["id"]) for entry in entries or () if isinstance(entry, dict) and "id" in entry]
    session.facts["served_names"] = names[:5]
    if session.case.hub_id not in names:
        listed = ", ".join(names[:5]) or "no model"
        raise Problem("served-name-mismatch", f"/v1/models lists {listed}, not {session.case.hub_id}")
    session.checked.append(f"/v1/models lists {session.case.hub_id}")


def check_unknown_name(session: ProbeSession, path: str, body: Mapping[str, object]) -> None:
    """Negative control: the same request for a model that does not exist.

    SGLang answers any name in the body but refuses unknown ones on ``/v1/models/<name>``; so an engine that answers
    is worth a warning, never a failure.
    """
    try:
        session.post(path, {**body, "model": UNKNOWN_MODEL})
    except Refused as refusal:
        if refusal.status < 500:
            session.checked.append(f"unknown model name refused (HTTP {refusal.status} on {path})")
        else:
            session.warnings.append(f"unknown model name gives HTTP {refusal.status} on {path} instead of a refusal")
        return
    except Problem as problem:
        session.warnings.append(f"negative control failed: {problem.detail}")
        return
    try:
        session.get(f"/v1/models/{quote(UNKNOWN_MODEL, safe='/')}")
    except Refused as refusal:
        if refusal.status == 404:
            session.checked.append("unknown model name refused (HTTP 404 on /v1/models/<name>)")
            session.facts["accepts_any_model_name"] = True
            session.not_checked.append(f"model name in the body of {path} (this engine answers any name)")
            return
    except Problem as problem:
        session.warnings.append(f"negative control failed: {problem.detail}")
        return
    session.facts["accepts_any_model_name"] = True
    session.warnings.append("engine accepts unknown model names")
