"""How long downloads and start-ups take, in cluster seconds.

The figures are fitted to a real campaign (facts: models-notes, part e). Every draw is a function of (seed, names)
alone, so it does not depend on the order in which controllers and nodes ask.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

FASTEST_BYTES_PER_SECOND = 1.75e9
"""No download beats this (GB / 1.75 seconds)."""


@dataclass(frozen=True, slots=True)
class DownloadModel:
    """Log-normal in the published size, with a share of cached and of stuck downloads."""

    intercept: float
    slope: float
    """Of ln seconds over ln GB."""
    deviation: float
    """Of ln seconds, over models."""
    cached_probability: float
    stuck_probability: float
    tail: float
    """Draws are clipped to this many standard deviations."""
    cap: float = 3600.0
    cached_seconds: tuple[float, float] = (1.0, 16.0)
    """Log-uniform range of a cached download."""
    node_spread: float = 0.12
    """Standard deviation of ln seconds over the nodes of one model."""


@dataclass(frozen=True, slots=True)
class StartupModel:
    """Log-normal in the count of parameters."""

    intercept: float = 3.9
    slope: float = 0.27
    """Of ln seconds over ln billions of parameters."""
    deviation: float = 0.7
    tail: float = 1.5
    floor: float = 10.0
    cap: float = 900.0


DOWNLOAD_MODELS = {
    "calm": DownloadModel(2.5, 0.6, 1.1, cached_probability=0.4, stuck_probability=0.02, tail=2.5),
    "crowded": DownloadModel(5.2, 0.2, 1.4, cached_probability=0.15, stuck_probability=0.17, tail=2.5),
    "sunny": DownloadModel(2.5, 0.6, 0.5, cached_probability=0.2, stuck_probability=0.0, tail=1.5, cap=1200.0),
}
"""``calm`` and ``crowded`` are the two halves of the record; ``sunny`` is calm without its long tail."""

STARTUP_MODELS = {
    "recorded": StartupModel(),
    "sunny": StartupModel(deviation=0.3, cap=300.0),
}


def rng(seed: int, *names: object) -> random.Random:
    """A generator that depends on the seed and the names only."""
    digest = hashlib.sha256("\x1f".join([str(seed), *map(str, names)]).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def is_cached(model: DownloadModel, seed: int, name: str) -> bool:
    """Whether the files of ``name`` lie on the nodes already."""
    return rng(seed, "cached", name).random() < model.cached_probability


def is_stuck(model: DownloadModel, seed: int, name: str) -> bool:
    """Whether the download of ``name`` never ends (on any node: the record knows no single stuck node)."""
    return rng(seed, "stuck", name).random() < model.stuck_probability


def cached_seconds(model: DownloadModel, seed: int, name: str, node: str) -> float:
    """Seconds to verify files that are there."""
    low, high = (math.log(bound) for bound in model.cached_seconds)
    return math.exp(rng(seed, "verify", name, node).uniform(low, high))


def cold_seconds(model: DownloadModel, seed: int, name: str, node: str, weights_bytes: int) -> float:
    """Seconds one node needs to fetch ``weights_bytes``."""
    gigabytes = max(weights_bytes / 1e9, 0.01)
    mean = model.intercept + model.slope * math.log(gigabytes)
    drawn = mean + model.deviation * _clipped(rng(seed, "cold", name), model.tail)
    spread = model.node_spread * _clipped(rng(seed, "cold", name, node), 2.0)
    return max(gigabytes * 1e9 / FASTEST_BYTES_PER_SECOND, min(model.cap, math.exp(drawn + spread)))


def startup_seconds(model: StartupModel, seed: int, name: str, parameters: float) -> float:
    """Seconds from the start of the engine's process until it answers."""
    mean = model.intercept + model.slope * math.log(max(parameters / 1e9, 0.05))
    drawn = mean + model.deviation * _clipped(rng(seed, "startup", name), model.tail)
    return max(model.floor, min(model.cap, math.exp(drawn)))


def _clipped(source: random.Random, tail: float) -> float:
    return max(-tail, min(tail, source.gauss(0.0, 1.0)))
