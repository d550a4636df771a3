"""Images on the nodes: pulled once per node, by the scenario's word."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.scenario import Scenario

_RELEASES = {"ghcr.io/llm-d/llm-d-inference-sim": re.compile(r"v0\.([1-9]|\d\d)\.\d+(-rc\.\d+)?|latest")}


class ImagePullError(Exception):
    """The registry or the network refused; ``reason`` is what the container waits for (``ErrImagePull``)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Images:
    """Which node has which image."""

    def __init__(self, scenario: Scenario, clock: Clock) -> None:
        self._scenario = scenario
        self._clock = clock
        self._failures: Counter[tuple[str, str]] = Counter()
        self._present: set[tuple[str, str]] = set()
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    def present(self, node: str, image: str) -> bool:
        """Whether the node has the image."""
        return (node, image) in self._present

    def preload(self, node: str, image: str) -> None:
        """The node has had the image for long."""
        self._present.add((node, image))

    async def pull(self, node: str, image: str) -> float:
        """Fetch the image; returns the cluster seconds it took. Two pods that need it share one pull.

        Raises:
            ImagePullError: there is no such tag, or the scenario says it cannot be had.
        """
        script = self._scenario.image(image)
        started = self._clock.monotonic()
        async with self._locks[node, image]:
            if not self.present(node, image):
                await self._clock.asleep(script.seconds)
                if not exists(image):
                    raise ImagePullError("ErrImagePull", _not_found(image))
                if script.error and (script.times is None or self._failures[node, image] < script.times):
                    self._failures[node, image] += 1
                    self._scenario.signals.note("", f"image {image}")
                    raise ImagePullError(script.reason, script.error)
                self._present.add((node, image))
        return self._clock.monotonic() - started


def exists(image: str) -> bool:
    """Whether the registry has the image: any, but only released tags of those whose releases are known here."""
    name, _, tag = image.rpartition(":")
    released = _RELEASES.get(name)
    return released is None or released.fullmatch(tag) is not None


def _not_found(image: str) -> str:
    text = f'failed to resolve reference "{image}": {image}: not found'
    return f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": {text}'
