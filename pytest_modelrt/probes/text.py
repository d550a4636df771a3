"""Text generation: chat with the fall-back to completions, and completions alone."""

from __future__ import annotations

from typing import Any

import httpx

from pytest_modelrt.plan.model import Case
from pytest_modelrt.probes.judgement import first_choice, require_text
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.probes.serving import check_served_name, check_unknown_name
from pytest_modelrt.probes.session import ProbeSession, Problem, Refused, run

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
QUESTION = "hello, who are you"
PROMPT = "Hello, my name is"
TOKENS = 100
REASONING_TOKENS = 256
GENERATION_NOT_CHECKED = ("streaming", "knowledge or quality of the answer", "throughput")


def chat(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe a chat model: one question, a sensible answer; completions when there is no chat template."""
    return run(ProbeSession(client, case, timeout), _chat)


def completion(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe a base model: continue a sentence."""
    return run(ProbeSession(client, case, timeout), _completion)


def _chat(session: ProbeSession) -> str:
    session.not_checked.extend(GENERATION_NOT_CHECKED)
    check_served_name(session)
    body = chat_body(session.case, QUESTION)
    try:
        answer = session.ask(CHAT, body)
    except Refused:
        note = "no chat template: answered on /v1/completions"
        session.facts["fallback"] = COMPLETIONS
        session.not_checked.append("chat (the tokenizer has no chat template)")
        if session.case.has_chat_template:
            session.warnings.append(f"chat-template-missing: {note}, though the plan expects a template")
        return complete(session)
    text = read_message(session, answer)
    session.checked.append("chat answer is readable text")
    check_unknown_name(session, CHAT, {**body, "max_tokens": 1})
    return text


def _completion(session: ProbeSession) -> str:
    session.not_checked.extend(GENERATION_NOT_CHECKED)
    check_served_name(session)
    return complete(session)


def complete(session: ProbeSession) -> str:
    """Ask for a completion and judge it; returns the text."""
    body = {"model": session.case.hub_id, "prompt": PROMPT, "max_tokens": TOKENS // 2, "temperature": 0}
    choice = first_choice(session.ask(COMPLETIONS, body), COMPLETIONS)
    text = choice.get("text")
    session.facts["finish_reason"] = choice.get("finish_reason")
    if not isinstance(text, str) or not text.strip():
        raise Problem("inference-empty", f"no text on {COMPLETIONS} (finish_reason {choice.get('finish_reason')})")
    require_text(text, COMPLETIONS)
    session.checked.append("completion is readable text")
    check_unknown_name(session, COMPLETIONS, {**body, "max_tokens": 1})
    return text.strip()


def chat_body(case: Case, content: object) -> dict[str, object]:
    """The request for one user message."""
    return {
        "model": case.hub_id,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": REASONING_TOKENS if case.reasoning else TOKENS,
        "temperature": 0,
    }


def read_message(session: ProbeSession, answer: Any) -> str:
    """The text of a chat answer, reasoning included when there is nothing else.

    Raises:
        Problem: nothing was said, or it is degenerate.
    """
    choice = first_choice(answer, CHAT)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Problem("inference-empty", f"choice without a message on {CHAT}")
    finish = choice.get("finish_reason")
    session.facts["finish_reason"] = finish
    content = flat(message.get("content"))
    reasoning = flat(message.get("reasoning_content") or message.get("reasoning"))
    for text in (content, reasoning):
        require_text(text, CHAT)
    if reasoning:
        session.facts["reasoning"] = True
    if content.strip() or reasoning.strip():
        return content.strip() or f"(reasoning) {reasoning.strip()}"
    if message.get("tool_calls"):
        return "(tool call)"
    if finish == "length" and session.case.reasoning:
        session.not_checked.append("text (the token limit ended the reasoning before any was visible)")
        return "(reasoning, cut by the token limit)"
    raise Problem("inference-empty", f"no text on {CHAT} (finish_reason {finish})")


def flat(content: Any) -> str:
    """Message content as text, whether a string, nothing, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""
