"""What the cluster's refusals mean."""

from __future__ import annotations

import re

from pytest_modelrt.cluster.model import ApiError, ClusterError
from pytest_modelrt.diagnosis.diagnose import diagnose, hint_of
from pytest_modelrt.diagnosis.model import Evidence, Refusal
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stages.ended import CaseEnded

_VERB = re.compile(r'cannot (\w+) resource "')
"""In the words of a 403."""


def ended_by(error: ClusterError, stage: Stage) -> CaseEnded:
    """What trouble with the cluster alone means, without a case."""
    evidence = Evidence(stage=stage, waited=0.0, reason="api-error", detail=str(error), refusal=refusal_of(error))
    finding = diagnose(evidence)
    return CaseEnded(stage, finding, hint_of(finding, case="", hub_id="", model=""))


def refusal_of(error: ClusterError) -> Refusal:
    """An API error as evidence."""
    if isinstance(error, ApiError):
        details = error.details
        resource = ".".join(str(details[key]) for key in ("kind", "group") if details.get(key))
        verb = _VERB.search(error.message)
        return Refusal(
            code=error.code,
            reason=error.reason,
            message=error.message,
            resource=resource,
            verb=verb.group(1) if verb else "",
        )
    return Refusal(code=0, reason=type(error).__name__, message=str(error))
