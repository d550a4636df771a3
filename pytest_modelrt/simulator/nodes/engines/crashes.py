"""Why an engine cannot start on its own account: no files, no GPUs, no memory, wrong arguments."""

from __future__ import annotations

import re

from pytest_modelrt.simulator.hub import HubRepo
from pytest_modelrt.simulator.nodes.disk import Directory
from pytest_modelrt.simulator.nodes.engines.arguments import EngineArguments
from pytest_modelrt.simulator.nodes.engines.milestones import Memory
from pytest_modelrt.simulator.scenario import Crash

_PREFIX = "Scheduler hit an exception: Traceback (most recent call last):"
_SELF_KILL_EXIT = 0
"""The scheduler kills the process tree; as process 1 of a container that ends with 0 (facts: failures, A9)."""
_BUILTIN_NAME = re.compile(r"[\w./-]+$")


def own_crash(arguments: EngineArguments, repo: HubRepo, gpus: int, directory: Directory | None) -> Crash | None:
    """The crash that must come whatever the scenario says, or None."""
    return (
        _bad_arguments(arguments)
        or _missing_files(arguments.model_path, directory)
        or _missing_gpus(arguments, gpus)
        or _no_memory(arguments, repo)
    )


def _bad_arguments(arguments: EngineArguments) -> Crash | None:
    template = arguments.chat_template
    if not template or _BUILTIN_NAME.match(template):
        return None
    text = f"Chat template {template} is not a built-in template name or a valid chat template file path."
    frames = 'Traceback (most recent call last):\n  File "sglang/srt/managers/template_manager.py", line 117, in load'
    return Crash(log=f"{frames}\nRuntimeError: {text}", at="server_args")


def _missing_files(path: str, directory: Directory | None) -> Crash | None:
    if not path.startswith("/"):
        return None  # a hub id: the engine fetches it by itself
    frames = 'Traceback (most recent call last):\n  File "transformers/utils/hub.py", line 322, in cached_file'
    if directory is None or not directory.has_config:
        text = f"{path} does not appear to have a file named config.json. Checkout "
        text += f"'https://huggingface.co/{path}/tree/main' for available files."
        return Crash(log=f"{frames}\nOSError: {text}", at="server_args")
    if not directory.complete:
        text = f"RuntimeError: Cannot find any model weights with `{path}`"
        return _in_scheduler("model_loader/weight_utils.py", text, "load_begin")
    if directory.corrupt:
        text = "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata"
        return _in_scheduler("model_loader/weight_utils.py", text, "load_begin")
    return None


def _missing_gpus(arguments: EngineArguments, gpus: int) -> Crash | None:
    local = -(-arguments.tensor_parallel // max(1, arguments.nodes))
    if local <= gpus:
        return None
    text = "RuntimeError: CUDA error: invalid device ordinal\nCUDA kernel errors might be asynchronously reported."
    if not gpus:
        text = "RuntimeError: No accelerator (CUDA, XPU, HPU) is available."
    return _in_scheduler("distributed/parallel_state.py", text, "server_args")


def _no_memory(arguments: EngineArguments, repo: HubRepo) -> Crash | None:
    memory = Memory.of(arguments, repo)
    if not memory.fits:
        text = (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB. GPU 0 has a total capacity of "
            "79.11 GiB of which 325.19 MiB is free. Including non-PyTorch memory, this process has 78.79 GiB memory in "
            "use."
        )
        return _in_scheduler("model_loader/loader.py", text, "load_begin")
    if memory.cache_bytes <= 0:
        text = (
            "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. "
            f"Current value: self.server_args.mem_fraction_static={arguments.mem_fraction}"
        )
        return _in_scheduler("model_executor/model_runner.py", text, "load_end")
    return None


def _in_scheduler(file: str, text: str, milestone: str) -> Crash:
    """A crash of the scheduler process, with the words every such crash begins with."""
    frame = f'  File "/sgl-workspace/sglang/python/sglang/srt/{file}"'
    return Crash(log=f"{_PREFIX}\n{frame}\n{text}", at=milestone, exit_code=_SELF_KILL_EXIT)
