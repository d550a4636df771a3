"""vLLM in the image of KServe's stock preset: it finds neither what it needs to run on nor a model, and gives up."""

from __future__ import annotations

from pytest_modelrt.simulator.nodes.programs import ProgramContext

IMAGE = "ghcr.io/llm-d/llm-d-dev"
_START_SECONDS = 8.0
_NO_DEVICE = (
    "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG` to turn "
    "on verbose logging to help debug the issue."
)
_NO_MODEL = "OSError: /mnt/models does not appear to have a file named config.json."


async def vllm(context: ProgramContext) -> int:
    """Import for a while, then fail as the real one does without GPUs or without files at ``/mnt/models``."""
    await context.clock.asleep(_START_SECONDS)
    context.log("INFO [__init__.py] No platform detected, vLLM is running on UnspecifiedPlatform")
    context.log(_NO_MODEL if context.gpus else _NO_DEVICE)
    return 1
