"""Tokens and texts: counting by regular expression, canned sentences cut to length."""

from __future__ import annotations

import random
import re
from itertools import pairwise

_TOKEN = re.compile(r"(?:[{}:,\-.?!;@#$%^&*()+_~/\\><\[\]=\"]|\w+)\s*", re.ASCII)
_SENTENCES = (
    "Testing, testing, one two three. ",
    "The bridge opens at noon, and small boats pass below. ",
    "Rain fell over the hills all morning; nobody minded. ",
    "A good question deserves a short answer, then a longer one. ",
    "Numbers add up when you count slowly: one, two, three, four. ",
    "She wrote the letter twice and sent neither copy. ",
    "Every machine hums in its own key, if you listen. ",
    "Today the library stays open until eight in the evening. ",
    "No map shows the path behind the old station. ",
    "Give the kettle a minute, it always boils in the end. ",
    "Between the lines there is room for another story. ",
)
_MEAN, _DEVIATION, _MOST = 40.0, 20.0, 128
_SHORT = 6
_EXACT_SHARE = 0.15
_BUCKETS = (0.20, 0.30, 0.20, 0.05, 0.10)
_WIDTH = 20


def tokens(text: str) -> list[str]:
    """ASCII words and punctuation signs with the blanks behind them; anything else does not count."""
    return _TOKEN.findall(text)


def reply_length(most: int | None, rng: random.Random) -> tuple[int, str]:
    """How many tokens a random reply has, and why it ends (``stop`` or ``length``)."""
    if most is None:
        while True:
            count = round(rng.gauss(_MEAN, _DEVIATION))
            if 1 <= count <= _MOST:
                return count, "stop"
    if most <= _SHORT:
        count = rng.randint(1, most)
    elif rng.random() < _EXACT_SHARE:
        count = most
    else:
        low, high = rng.choices(_ranges(most - 1), weights=_BUCKETS)[0]
        count = rng.randint(low, high)
    return count, "length" if count == most else "stop"


def _ranges(most: int) -> list[tuple[int, int]]:
    """Five ranges of 1..most: equal, or 20 wide with a stretched fourth when there is room."""
    if most <= _WIDTH * len(_BUCKETS):
        edges = [round(index * most / len(_BUCKETS)) for index in range(len(_BUCKETS) + 1)]
    else:
        edges = [0, _WIDTH, 2 * _WIDTH, 3 * _WIDTH, most - _WIDTH, most]
    return [(min(low + 1, high), high) for low, high in pairwise(edges)]


def random_tokens(count: int, rng: random.Random) -> list[str]:
    """``count`` tokens of canned sentences, beginning anywhere."""
    found: list[str] = []
    while len(found) < count:
        found += tokens(rng.choice(_SENTENCES))
    return found[:count]


def echo_tokens(text: str, most: int | None) -> tuple[list[str], str]:
    """The text's own tokens, cut at ``most`` (then with an extra blank behind each, as v0.5.1 joins them)."""
    held = tokens(text)
    if most is None or len(held) <= most:
        return held, "stop" if most is None or len(held) < most else "length"
    return [f"{token} " for token in held[:most]], "length"
