"""Vectors and scores of the simulated models: crude, but they order texts the way a person would."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

_PLACES = 24
"""Coordinates one feature touches."""
_STOP = {"a", "an", "the", "is", "of", "in", "on", "and", "to", "it", "what", "how", "do", "i", "you", "for", "about"}
_GOOD = {"love", "thank", "thanks", "good", "great", "please", "happy", "nice", "wonderful", "helpful"}
_BAD = {"hate", "worthless", "stupid", "ugly", "terrible", "awful", "kill", "idiot", "loudly"}


def embed(text: str, width: int) -> list[float]:
    """A unit vector; texts that share word stems are close."""
    vector = [0.0] * width
    for feature, weight in _features(text):
        digest = hashlib.shake_128(feature.encode()).digest(_PLACES * 3)
        for start in range(0, len(digest), 3):
            place = int.from_bytes(digest[start : start + 2], "big") * 65521 % width
            vector[place] += weight if digest[start + 2] & 1 else -weight
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [round(value / length, 7) for value in vector]


def relevance(query: str, document: str) -> float:
    """How well a document answers a query, 0 to 1."""
    asked, said = _stems(query), _stems(document)
    shared = len(asked & said)
    return round(1.0 / (1.0 + math.exp(3.0 - 3.5 * shared - 0.01 * len(said))), 6)


def reward(conversation: str) -> float:
    """A scalar for a conversation: an answer on topic and polite scores higher."""
    question, _, said = conversation.rpartition("Assistant:")
    asked, answered = _stems(question), _stems(said or conversation)
    topic = len(asked & answered) / max(1, len(asked))
    return round(4.0 * topic + 1.5 * _mood(said or conversation) + 0.02 * min(len(answered), 40) - 1.0, 6)


def classes(text: str, count: int = 2) -> list[float]:
    """Logits, the last class being the pleasant one."""
    jitter = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=2).digest(), "big") / 65536 - 0.5
    mood = _mood(text) + 0.2 * jitter
    return [round(mood * (2.0 * index / max(1, count - 1) - 1.0) * 2.0, 6) for index in range(count)]


def _mood(text: str) -> float:
    words = set(re.findall(r"[a-z]+", text.lower()))
    return float(len(words & _GOOD) - len(words & _BAD))


def _stems(text: str) -> set[str]:
    return {word[:4] for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP}


def _features(text: str) -> Sequence[tuple[str, float]]:
    words = re.findall(r"[a-z0-9]+", text.lower()) or [text or "empty"]
    features = [(f"word {word}", 0.2 if word in _STOP else 1.0) for word in words]
    return features + [(f"stem {word[:3]}", 0.7) for word in words if word not in _STOP]
