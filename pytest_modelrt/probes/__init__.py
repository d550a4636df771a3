"""One module per probe kind: the request, the check and the negative control."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_modelrt.plan.model import ProbeKind
from pytest_modelrt.probes.embedding import embedding
from pytest_modelrt.probes.model import Probe, ProbeResult
from pytest_modelrt.probes.rerank import rerank
from pytest_modelrt.probes.scoring import classify, reward
from pytest_modelrt.probes.text import chat, completion
from pytest_modelrt.probes.vision import ocr, vision

__all__ = ["Probe", "ProbeResult", "probe_for"]

_PROBES: Mapping[ProbeKind, Probe] = {
    ProbeKind.CHAT: chat,
    ProbeKind.COMPLETION: completion,
    ProbeKind.VISION_CHAT: vision,
    ProbeKind.EMBEDDING: embedding,
    ProbeKind.RERANK: rerank,
    ProbeKind.REWARD: reward,
    ProbeKind.CLASSIFY: classify,
    ProbeKind.OCR: ocr,
}


def probe_for(kind: ProbeKind) -> Probe:
    """The probe that proves a model of this kind answers."""
    return _PROBES[kind]
