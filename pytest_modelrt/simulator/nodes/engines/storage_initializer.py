"""KServe's storage initializer: the init container that fetches a model before the engine starts."""

from __future__ import annotations

from pytest_modelrt.simulator.nodes.programs import ProgramContext

IMAGE = "kserve/storage-initializer"
_SECONDS = 10.0


async def storage_initializer(context: ProgramContext) -> int:
    """Fetch ``hf://<organisation>/<model>`` or ``s3://...`` to a directory, both given as arguments.

    Small models only as far as time goes: there is one duration for all.
    """
    if len(context.argv) != 2:
        context.log("Usage: initializer-entrypoint [src_uri1] [dest_path1] ...")
        return 1
    source, target = context.argv
    context.log(f"INFO:root:Initializing, args: src_uri [('{source}', '{target}')]")
    scheme, _, name = source.partition("://")
    if scheme == "hf" and not context.scenario.repo("", name).exists:
        context.log(f"huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error: {name}")
        return 1
    await context.clock.asleep(_SECONDS)
    context.log(f"INFO:root:Successfully copied {source} to {target}")
    return 0
