"""The program of the ``ome-controller-manager`` pod: runs the controllers and serves the webhooks."""

from __future__ import annotations

from pytest_modelrt.simulator.controllers.ome.basemodel import BaseModelController
from pytest_modelrt.simulator.controllers.ome.inferenceservice import InferenceServiceController
from pytest_modelrt.simulator.controllers.ome.logs import Log
from pytest_modelrt.simulator.controllers.outages import run_outside
from pytest_modelrt.simulator.controllers.platform import Platform, run_all
from pytest_modelrt.simulator.nodes.programs import ProgramContext


class Manager:
    """The controllers of OME. They work, and the webhooks answer, only while the manager's container runs."""

    def __init__(self, platform: Platform) -> None:
        self._log = Log()
        self._models = BaseModelController(platform, self._log)
        self._services = InferenceServiceController(platform, self._log)
        self._running = 0

    def is_serving(self) -> bool:
        """Whether the webhook server has an endpoint."""
        return self._running > 0

    async def program(self, context: ProgramContext) -> int:
        """Run in a container until it is stopped."""
        rules = context.scenario.file.controller
        for kind, controller in (("ClusterBaseModel", self._models), ("InferenceService", self._services)):
            controller.ignore([rule for rule in rules if kind in rule.ignores], context.scenario)
        return await run_outside([rule for rule in rules if not rule.ignores], self._work(context), context)

    async def _work(self, context: ProgramContext) -> None:
        self._log.sink = context.log
        self._running += 1
        self._log.named("setup").info("Starting manager")
        self._log.info("Starting workers", controller="inferenceservice", **{"worker count": 1})
        try:
            await run_all(self._models.run(), self._services.run())
        finally:
            self._running -= 1
