"""Odd answers, injected at the transport."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from pytest_modelrt.plan.model import Case, ProbeKind
from pytest_modelrt.probes import ProbeResult, probe_for
from pytest_modelrt.probes.judgement import degenerate
from tests.selftest.probes.cases import BASE, case_of

NO_TEMPLATE = "Cannot use chat template functions because tokenizer.chat_template is not set and no template argument"


def ask(case: Case, answers: dict[str, Any], names: tuple[str, ...] = (BASE.hub_id,)) -> ProbeResult:
    """Probe an engine whose answers per path are given: a body, ``(status, body)``, bytes or an exception."""

    def handle(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "GET":
            if path == "/v1/models":
                return httpx.Response(200, json={"data": [{"id": name} for name in names]})
            return httpx.Response(404, json={"message": "The model does not exist"})
        if json.loads(request.content).get("model") not in (BASE.hub_id, None):
            return httpx.Response(404, json={"message": "The model 'x' does not exist"})
        answer = answers.get(path, (404, {"detail": "Not Found"}))
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    with httpx.Client(transport=httpx.MockTransport(handle), base_url="http://engine") as client:
        return probe_for(case.probe)(client, case, timeout=1)


def chat(message: Any, finish: str = "stop") -> dict[str, Any]:
    return {"/v1/chat/completions": {"choices": [{"message": message, "finish_reason": finish}]}}


@pytest.mark.parametrize(
    ("message", "finish"),
    [
        ({"content": None, "reasoning_content": "The user says hello."}, "length"),
        ({"content": "<think>Okay, the user", "reasoning_content": None}, "length"),
        ({"content": "", "reasoning_content": None}, "length"),
        ({"content": [{"type": "text", "text": "Hello"}]}, "stop"),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"),
        ({"content": "I am a student. " * 20}, "length"),
        ({"content": "你好,我是一个语言模型。"}, "stop"),
        ({"content": "ok"}, "stop"),
    ],
)
def test_fine_answers(message: dict[str, Any], finish: str) -> None:
    result = ask(case_of(ProbeKind.CHAT, reasoning=True), chat(message, finish))
    assert result.problem is None, result.detail


@pytest.mark.parametrize(
    ("answers", "slug"),
    [
        ({"/v1/chat/completions": {"choices": []}}, "inference-empty"),
        ({"/v1/chat/completions": {}}, "inference-empty"),
        ({"/v1/chat/completions": []}, "inference-empty"),
        ({"/v1/chat/completions": None}, "inference-empty"),
        ({"/v1/chat/completions": {"choices": [None]}}, "inference-empty"),
        (chat({"content": "  \n "}), "inference-empty"),
        (chat({"content": None}), "inference-empty"),
        (chat(None), "inference-empty"),
        (chat({"content": ""}, "length"), "inference-empty"),
        (chat({"content": "!!!!!!!!!!!!!!!!!!!!"}), "inference-garbage"),
        (chat({"content": None, "reasoning_content": "!" * 90}), "inference-garbage"),
        (chat({"content": "the the the the the the the the the"}), "inference-garbage"),
        (chat({"content": "\ufffd\ufffd\ufffd a"}), "inference-garbage"),
        ({"/v1/chat/completions": b"<html>upstream error</html>"}, "inference-error"),
        ({"/v1/chat/completions": b""}, "inference-empty"),
        ({"/v1/chat/completions": {"object": "error", "message": "graph replay failed"}}, "inference-error"),
        ({"/v1/chat/completions": {"error": {"message": "graph replay failed"}}}, "inference-error"),
        ({"/v1/chat/completions": b"[" * 100_000}, "inference-error"),
        ({"/v1/chat/completions": (500, {"message": "Internal server error: boom"})}, "inference-error"),
        ({"/v1/chat/completions": (400, {"object": "error", "message": "too long"})}, "inference-error"),
        ({"/v1/chat/completions": (401, {"error": "no"})}, "inference-error"),
        ({"/v1/chat/completions": (502, b"bad gateway")}, "engine-died-during-inference"),
        ({"/v1/chat/completions": (503, {"error": "No available workers"})}, "router-no-workers"),
        ({"/v1/chat/completions": (404, {"detail": "Not Found"})}, "inference-endpoint-mismatch"),
        ({"/v1/chat/completions": (404, {"message": "The model 'x' does not exist"})}, "served-name-mismatch"),
        ({"/v1/chat/completions": httpx.ReadTimeout("slow")}, "inference-timeout"),
        ({"/v1/chat/completions": httpx.ConnectError("refused")}, "port-forward-broken"),
        ({"/v1/chat/completions": httpx.RemoteProtocolError("cut")}, "engine-died-during-inference"),
    ],
)
def test_bad_chat_answers(answers: dict[str, Any], slug: str) -> None:
    result = ask(case_of(ProbeKind.CHAT), answers)
    assert result.problem == slug
    assert result.detail
    assert result.exchanges


def test_fallback_only_on_the_missing_template() -> None:
    completions = {"/v1/completions": {"choices": [{"text": " Ada.", "finish_reason": "length"}]}}
    missing = {"/v1/chat/completions": (400, {"object": "error", "message": NO_TEMPLATE, "code": 400})}
    base = ask(case_of(ProbeKind.CHAT, has_chat_template=False), {**missing, **completions})
    assert base.problem is None
    assert base.endpoint == "/v1/completions"
    assert base.facts["fallback"] == "/v1/completions"
    assert base.warnings == ()
    surprising = ask(case_of(ProbeKind.CHAT), {**missing, **completions})
    assert surprising.problem is None
    assert "no chat template" in surprising.warnings[0]
    other = ask(case_of(ProbeKind.CHAT), {"/v1/chat/completions": (400, {"message": "bad"}), **completions})
    assert other.problem == "inference-error"
    server_error = ask(
        case_of(ProbeKind.CHAT), {"/v1/chat/completions": (500, {"message": NO_TEMPLATE}), **completions}
    )
    assert server_error.problem == "inference-error"


def rows(*vectors: Any) -> dict[str, Any]:
    return {"/v1/embeddings": {"data": [{"embedding": vector} for vector in vectors]}}


@pytest.mark.parametrize(
    ("answers", "slug"),
    [
        (rows([1, 2], [2, 1], [0, 1]), None),
        (rows([1, 2], [2, 1]), "inference-garbage"),
        (rows([1, 2], [2, 1], [0, 1, 2]), "inference-garbage"),
        (rows([1, 2], [2, 1], [0, 0]), "inference-garbage"),
        (rows([1, 2], [2, 1], [float("nan"), 1]), "inference-garbage"),
        (rows([1, 2], [2, 1], [None, 1]), "inference-garbage"),
        (rows([1, 2], [1, 2], [1, 2]), "inference-garbage"),
        (rows([1, 2], [2, 1], []), "inference-empty"),
        (rows([1, 2], [2, 1], "AAAA"), "inference-empty"),
        ({"/v1/embeddings": {"data": []}}, "inference-empty"),
        (
            {"/v1/embeddings": (400, {"message": "This model does not appear to be an embedding model by default."})},
            "inference-endpoint-mismatch",
        ),
    ],
)
def test_embeddings(answers: dict[str, Any], slug: str | None) -> None:
    assert ask(case_of(ProbeKind.EMBEDDING), answers).problem == slug


def test_distant_paraphrase_is_only_a_warning() -> None:
    result = ask(case_of(ProbeKind.EMBEDDING), rows([1, 0], [0, 1], [1, 0.1]))
    assert result.problem is None
    assert "paraphrase is not closer" in result.warnings[0]


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ([{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}], None),
        ({"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": -3}]}, None),
        ([{"index": 1, "score": 0.1}, {"index": 0, "score": 0.9}], "inference-garbage"),
        ([{"index": 1, "score": 0.5}, {"index": 0, "score": 0.5}], "inference-garbage"),
        ([{"index": 1, "score": 0.5}], "inference-garbage"),
        ([{"index": 1, "score": None}, {"index": 0, "score": 0.5}], "inference-empty"),
        ([], "inference-empty"),
        ("no", "inference-empty"),
        ([[0.1], [0.2]], "inference-garbage"),
    ],
)
def test_rerank(body: Any, slug: str | None) -> None:
    assert ask(case_of(ProbeKind.RERANK), {"/v1/rerank": body}).problem == slug


def scores(*values: Any) -> list[dict[str, Any]]:
    return [{"embedding": [value]} for value in values]


@pytest.mark.parametrize(
    ("body", "slug", "warnings"),
    [
        (scores(1, -1, 2, -2), None, 0),
        ({"data": [{"probs": [0.9]}, {"probs": [0.1]}, {"probs": [0.8]}, {"probs": [0.2]}]}, None, 0),
        (scores(1, -1, -2, 2), None, 1),
        (scores(-1, 1, -2, 2), "inference-garbage", 0),
        (scores(0, 0, 0, 0), "inference-garbage", 0),
        (scores(1, -1, 2), "inference-garbage", 0),
        (scores(1, -1, 2, float("inf")), "inference-garbage", 0),
        (scores(1, -1, 2, None), "inference-garbage", 0),
    ],
)
def test_reward(body: Any, slug: str | None, warnings: int) -> None:
    result = ask(case_of(ProbeKind.REWARD), {"/classify": body})
    assert result.problem == slug
    assert len([line for line in result.warnings if "negative" not in line and "unknown" not in line]) == warnings


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ([{"embedding": [0.1, 0.9]}, {"embedding": [0.8, 0.2]}], None),
        ([{"embedding": [0.1, 0.9]}, {"embedding": [0.1, 0.9]}], "inference-garbage"),
        ([{"embedding": [0.1]}, {"embedding": [0.2]}], "inference-garbage"),
        ([{"embedding": [0.1, 0.9]}, {"text": "x"}], "inference-empty"),
    ],
)
def test_classify(body: Any, slug: str | None) -> None:
    assert ask(case_of(ProbeKind.CLASSIFY), {"/classify": body}).problem == slug


def test_a_wrong_colour_is_a_warning_and_said() -> None:
    result = ask(case_of(ProbeKind.VISION_CHAT), chat({"content": "A lovely picture."}))
    assert result.problem is None
    assert result.facts["picture_understood"] is False
    assert "that the picture was understood" in result.not_checked
    assert "A lovely picture." in result.warnings[0]


def test_secrets_and_pictures_do_not_fill_the_exchanges() -> None:
    token = "hf_" + "a" * 30
    result = ask(case_of(ProbeKind.VISION_CHAT), chat({"content": f"red {token}"}))
    text = json.dumps([exchange.request + exchange.response for exchange in result.exchanges])
    assert token not in text
    assert token not in result.answer
    assert all(len(exchange.request) < 1300 for exchange in result.exchanges)


@pytest.mark.parametrize("name", ["", "other/model"])
def test_models_list_without_us(name: str) -> None:
    result = ask(case_of(ProbeKind.CHAT), chat({"content": "hello"}), names=(name,) if name else ())
    assert result.problem == "served-name-mismatch"


@pytest.mark.parametrize("text", ["", "  ", "ha ha ha!", "1, 2, 3, 4, 5, 6, 7, 8, 9", "a", "no no no", "-" * 5])
def test_not_degenerate(text: str) -> None:
    assert degenerate(text) is None
