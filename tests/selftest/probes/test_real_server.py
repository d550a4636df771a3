"""Every kind of probe against a real HTTP server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pytest_modelrt.plan.model import ProbeKind
from pytest_modelrt.probes import probe_for
from tests.selftest.probes.cases import case_of
from tests.selftest.probes.engine import Answer, Engine, serving


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with serving(Engine) as url:
        yield url


@pytest.mark.parametrize(
    ("kind", "endpoint", "proof"),
    [
        (ProbeKind.CHAT, "/v1/chat/completions", "chat answer is readable text"),
        (ProbeKind.COMPLETION, "/v1/completions", "completion is readable text"),
        (ProbeKind.VISION_CHAT, "/v1/chat/completions", "a red picture is called red"),
        (ProbeKind.OCR, "/v1/chat/completions", "text in the picture was read: HELLO 2741"),
        (ProbeKind.EMBEDDING, "/v1/embeddings", "3 finite vectors of length 4, none zero"),
        (ProbeKind.RERANK, "/v1/rerank", "the right document scores higher (0.5000 > 0.0000)"),
        (ProbeKind.REWARD, "/classify", "good answers score higher in 2 of 2 pairs"),
    ],
)
def test_a_sound_engine_passes(engine: str, kind: ProbeKind, endpoint: str, proof: str) -> None:
    case = case_of(kind)
    with httpx.Client(base_url=engine) as client:
        result = probe_for(kind)(client, case, timeout=10)
    assert result.problem is None, result.detail
    assert result.endpoint == endpoint
    assert proof in result.checked
    assert f"/v1/models lists {case.hub_id}" in result.checked
    assert any("unknown model name refused" in line for line in result.checked)
    assert result.not_checked
    assert result.warnings == ()
    assert result.answer
    assert all(exchange.url.startswith(engine) for exchange in result.exchanges)


def test_classifier_and_picture_embeddings(engine: str) -> None:
    with httpx.Client(base_url=engine) as client:
        case = case_of(ProbeKind.EMBEDDING, probe_input="image+text")
        pictures = probe_for(case.probe)(client, case, timeout=10)
        single = probe_for(ProbeKind.CLASSIFY)(client, case_of(ProbeKind.CLASSIFY), timeout=10)
    assert pictures.problem is None
    assert pictures.facts["dimensions"] == 4
    assert "different inputs give different vectors" in pictures.checked
    assert single.problem == "inference-garbage"  # that engine gives one number, not one per class


def test_facts_are_measured(engine: str) -> None:
    with httpx.Client(base_url=engine) as client:
        result = probe_for(ProbeKind.CHAT)(client, case_of(ProbeKind.CHAT), timeout=10)
    assert result.facts["prompt_tokens"] == 12
    assert result.facts["completion_tokens"] == 6
    assert isinstance(result.facts["latency_ms"], int)


def test_an_engine_that_answers_any_name_is_noted_not_failed() -> None:
    class Lax(Engine):
        lax = True

    with serving(Lax) as url, httpx.Client(base_url=url) as client:
        result = probe_for(ProbeKind.CHAT)(client, case_of(ProbeKind.CHAT), timeout=10)
    assert result.problem is None
    assert result.facts["accepts_any_model_name"] is True
    assert "unknown model name refused (HTTP 404 on /v1/models/<name>)" in result.checked


def test_another_served_name_is_a_mismatch() -> None:
    class Other(Engine):
        name = "someone/else"

    with serving(Other) as url, httpx.Client(base_url=url) as client:
        result = probe_for(ProbeKind.CHAT)(client, case_of(ProbeKind.CHAT), timeout=10)
    assert result.problem == "served-name-mismatch"
    assert "someone/else" in result.detail


def test_an_engine_that_dies_in_mid_answer() -> None:
    class Dying(Engine):
        def _say(self, answer: Answer) -> None:
            if self.path == "/v1/models":
                super()._say(answer)
            else:
                self.close_connection = True

    with serving(Dying) as url, httpx.Client(base_url=url) as client:
        result = probe_for(ProbeKind.CHAT)(client, case_of(ProbeKind.CHAT), timeout=10)
    assert result.problem == "engine-died-during-inference"
    assert result.exchanges[-1].status is None
    assert result.exchanges[-1].error


def test_nobody_listens() -> None:
    with serving(Engine) as url:
        pass
    with httpx.Client(base_url=url) as client:
        result = probe_for(ProbeKind.CHAT)(client, case_of(ProbeKind.CHAT), timeout=2)
    assert result.problem == "port-forward-broken"
