"""Pictures in, text out: image chat and reading of documents."""

from __future__ import annotations

import re

import httpx

from pytest_modelrt.plan.model import Case
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.probes.picture import BLUE, RED, Colour, data_url, plain, written
from pytest_modelrt.probes.serving import check_served_name, check_unknown_name
from pytest_modelrt.probes.session import ProbeSession, run
from pytest_modelrt.probes.text import CHAT, GENERATION_NOT_CHECKED, QUESTION, chat_body, read_message

COLOUR_QUESTION = "What colour is this picture? Answer with one word."
COLOURS: tuple[tuple[str, Colour], ...] = (("red", RED), ("blue", BLUE))
DOCUMENT_TEXT = "HELLO 2741"
DOCUMENT_QUESTION = "Extract the text content from this image."


def vision(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe an image-chat model with pictures of one colour."""
    return run(ProbeSession(client, case, timeout), _vision)


def ocr(client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
    """Probe a document-reading model with a picture of known text."""
    return run(ProbeSession(client, case, timeout), _ocr)


def _vision(session: ProbeSession) -> str:
    session.not_checked.extend(GENERATION_NOT_CHECKED)
    check_served_name(session)
    answers: list[str] = []
    for name, colour in COLOURS:
        answers.append(_look(session, plain(colour), COLOUR_QUESTION))
        if re.search(rf"\b{name}\b", answers[-1], re.IGNORECASE):
            session.checked.append(f"a {name} picture is called {name}")
            session.facts["picture_understood"] = True
            break
    else:
        _not_seen(session, f"neither picture's colour was named: {' / '.join(answer[:60] for answer in answers)}")
    _refuses_unknown(session)
    return answers[-1]


def _ocr(session: ProbeSession) -> str:
    session.not_checked.extend(GENERATION_NOT_CHECKED)
    check_served_name(session)
    answer = _look(session, written(DOCUMENT_TEXT), DOCUMENT_QUESTION)
    read = [word for word in DOCUMENT_TEXT.split() if word.lower() in answer.lower()]
    if read:
        session.checked.append(f"text in the picture was read: {' '.join(read)}")
        session.facts["picture_understood"] = True
    else:
        _not_seen(session, f"{DOCUMENT_TEXT!r} was not read: {answer[:80]}")
    _refuses_unknown(session)
    return answer


def _look(session: ProbeSession, image: bytes, question: str) -> str:
    """Ask about a picture; the answer must be readable text."""
    content = [
        {"type": "image_url", "image_url": {"url": data_url(image)}},
        {"type": "text", "text": question},
    ]
    text = read_message(session, session.ask(CHAT, chat_body(session.case, content)))
    if "answer to a picture is readable text" not in session.checked:
        session.checked.append("answer to a picture is readable text")
    return text


def _not_seen(session: ProbeSession, why: str) -> None:
    """A wrong answer is knowledge, not degeneration: a warning."""
    session.facts["picture_understood"] = False
    session.not_checked.append("that the picture was understood")
    session.warnings.append(why)


def _refuses_unknown(session: ProbeSession) -> None:
    check_unknown_name(session, CHAT, {**chat_body(session.case, QUESTION), "max_tokens": 1})
