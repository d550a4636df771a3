"""The program of the ``llmisvc-controller-manager`` pod: runs the controller and serves the webhook."""

from __future__ import annotations

from pytest_modelrt.simulator.controllers.kserve.controller import LLMInferenceServiceController
from pytest_modelrt.simulator.controllers.ome.logs import Log
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.nodes.programs import ProgramContext


class LLMManager:
    """The LLMInferenceService controller. Works, and its webhook answers, only while its container runs."""

    def __init__(self, platform: Platform) -> None:
        self._log = Log()
        self._controller = LLMInferenceServiceController(platform, self._log)
        self._running = 0

    def is_serving(self) -> bool:
        """Whether the webhook server has an endpoint."""
        return self._running > 0

    async def program(self, context: ProgramContext) -> int:
        """Run in a container until it is stopped."""
        self._log.sink = context.log
        self._running += 1
        self._log.named("setup").info("Starting manager")
        try:
            await self._controller.run()
        finally:
            self._running -= 1
        return 0
