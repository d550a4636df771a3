"""What the simulated models say: short, sensible, the same for the same question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_modelrt.simulator.hub import HubRepo
from pytest_modelrt.simulator.nodes.engines.picture import Seen

_CONTINUATION = (
    " Alex and I have lived in this town for eleven years. Every morning I walk down to the river, where the boats "
    "leave for the islands, and talk to the people who wait there. Most of them I know by name, and some of them have "
    "become friends over the years."
)
_THOUGHT = "The user asks a short question. I should say who I am and answer in one or two plain sentences."


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated text, cut at the token limit."""

    text: str
    reasoning: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def tokens(text: str) -> list[str]:
    """Words with the space before them, long ones split: a token is about four letters."""
    return [piece for word in re.findall(r"\s*\S+", text) for piece in _pieces(word)]


def count_tokens(text: str) -> int:
    """How many tokens a text has."""
    return sum(max(1, -(-len(word) // 6)) for word in text.split())


def answer(repo: HubRepo, question: str, pictures: Sequence[Seen]) -> str:
    """What a chat model answers."""
    name = repo.hub_id.rpartition("/")[2]
    if pictures:
        seen = pictures[-1]
        if seen.text:
            return seen.text
        if re.search(r"colou?r", question, re.IGNORECASE):
            return seen.colour.capitalize()
        return f"The picture shows a plain {seen.colour} area of {seen.width} by {seen.height} pixels."
    if re.search(r"\bwho are you\b|\byour name\b|^hi\b|^hello\b", question, re.IGNORECASE):
        return f"Hello! I am {name}, a language model. I can answer questions and help with writing. What do you need?"
    words = " ".join(question.split()[:12])
    return f"You asked: {words}. As {name} I would say that this depends on the details, so here is a short overview."


def reasoning(repo: HubRepo) -> str:
    """What a reasoning model thinks first; empty for others."""
    return _THOUGHT if repo.reasoning else ""


def continuation(prompt: str) -> str:
    """How a model continues a text."""
    return _CONTINUATION if prompt.rstrip().lower().endswith(("name is", "i am")) else " and then" + _CONTINUATION


def limited(text: str, thought: str, prompt_tokens: int, limit: int, finish: str | None = None) -> Generated:
    """Cut thought and text together at ``limit`` tokens."""
    thinking, saying = tokens(thought), tokens(text)
    room = max(0, limit)
    kept_thought, kept_text = thinking[:room], saying[: max(0, room - len(thinking))]
    cut = len(thinking) + len(saying) > room
    return Generated(
        text="".join(kept_text),
        reasoning="".join(kept_thought),
        finish_reason=finish or ("length" if cut else "stop"),
        prompt_tokens=prompt_tokens,
        completion_tokens=len(kept_thought) + len(kept_text),
    )


def _pieces(word: str) -> Iterator[str]:
    for start in range(0, len(word), 7):
        yield word[start : start + 7]
