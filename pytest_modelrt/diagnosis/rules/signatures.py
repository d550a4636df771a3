"""Signatures of engine crashes: anchored patterns on the primary exception, or on one line of its log.

Never a bare word such as ``error``: healthy logs are full of them (facts: failures, part I).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """One way a cause shows in an engine's log."""

    slug: str
    pattern: re.Pattern[str]
    before: re.Pattern[str] | None = None
    """Must be found in the log as well."""
    block: re.Pattern[str] | None = None
    """Must be found in the traceback as well."""
    deterministic: bool = True
    """The same happens at every start, so the first crash is the verdict."""


def _signature(slug: str, pattern: str, *, before: str = "", block: str = "", deterministic: bool = True) -> Signature:
    return Signature(
        slug,
        re.compile(pattern),
        re.compile(before) if before else None,
        re.compile(block) if block else None,
        deterministic,
    )


EXCEPTIONS = (
    _signature("gpu-device-fault", r"CUDA error: uncorrectable ECC error|CUDA-capable device\(s\) is/are busy or "
               r"unavailable|GPU is lost|\bXid\b", deterministic=False),
    _signature("gpu-memory-occupied", r"The memory capacity is unbalanced", deterministic=False),
    _signature("kv-cache-memory", r"Not enough memory\. Please try to increase --mem-fraction-static"),
    _signature("cuda-oom", r"(torch\.(cuda\.)?)?OutOfMemoryError|CUDA out of memory"),
    _signature("shm-too-small", r"/dev/shm/nccl|Error while creating shared memory segment"),
    _signature("shm-too-small", r"NCCL error.*unhandled system error", before=r"/dev/shm|shared memory segment"),
    _signature("tp-gpu-mismatch", r"invalid device ordinal|is not divisible by \d+|total_num_heads % tp_size"),
    _signature("tp-gpu-mismatch", r"AssertionError", block=r"% (self\.)?tp_size|total_num_heads %"),
    _signature("download-corrupt", r"SafetensorError|JSONDecodeError: Extra data|incomplete metadata",
               deterministic=False),
    _signature("crashloop-custom-code", r"contains custom code which must be executed|trust_remote_code=True"),
    _signature("crashloop-custom-code", r"FileNotFoundError: .*\.py'?$|No such file or directory: '.*\.py'"),
    _signature("crashloop-custom-code", r"ModuleNotFoundError: No module named 'transformers_modules"),
    _signature("crashloop-missing-module", r"ModuleNotFoundError: No module named '(?P<detail>[^']+)'"),
    _signature("crashloop-missing-module", r"ImportError: .*requires the following packages.*: (?P<detail>\S+)"),
    _signature("crashloop-unsupported-architecture",
               r"(?P<detail>\w+) has no SGlang implementation and the Transformers implementation is not compatible|"
               r"Model architectures \[[^\]]*\] are not supported|is not a registered model"),
    _signature("crashloop-unsupported-architecture", r"AttributeError: '\w*Config' object has no attribute",
               before=r"has no SGlang implementation, falling back to Transformers"),
    _signature("crashloop-tokenizer", r"\w*Tokenizer\w*\.\w+\(\) got an unexpected keyword argument"),
    _signature("crashloop-tokenizer", r"(Type|Attribute|Value|Key)Error", block=r"tokenization_\w+\.py"),
    _signature("weights-missing-on-node", r"does not appear to have a file named|Cannot find any model weights|"
               r"Can't load the configuration of|No such file or directory: '/\S*(config\.json|models?/)",
               deterministic=False),
    _signature("crashloop-weights", r"Cannot find the config file for \w+"),
    _signature("crashloop-weights", r"KeyError: '[\w.]+'|size mismatch|shape mismatch|(Assertion|Value)Error.*shape",
               block=r"load_weights|load_model|weight_loader"),
    _signature("engine-args-invalid", r"Chat template .* is not a built-in template name or a valid"),
)  # fmt: skip
"""Tried in order on the primary exception's line; the first that matches wins."""

LINES = (
    _signature("engine-args-invalid", r"launch_server\.py: error: (?P<detail>.*)"),
    _signature("crashloop-unsupported-architecture", r"(?P<detail>\w+) has no SGlang implementation and the "
               r"Transformers implementation is not compatible|Model architectures \[[^\]]*\] are not supported"),
    _signature("gpu-memory-occupied", r"The memory capacity is unbalanced", deterministic=False),
)  # fmt: skip
"""Tried on every line of a log without an exception."""

WARMUP_FAILED = re.compile(r"Initialization failed\. warmup error:")
"""Before the traceback of a warm-up request that was refused or broke."""
