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
    _signature("gpu-device-fault", r"uncorrectable ECC error|CUDA-capable device\(s\) is/are busy or unavailable|"
               r"all CUDA-capable devices are busy|GPU ?[iI]s ?[lL]ost|fallen off the bus|\bXid\b|"
               r"No CUDA GPUs are available", deterministic=False),
    _signature("gpu-memory-occupied", r"The memory capacity is unbalanced|"
               r"Free memory on device .* is less than desired GPU memory utilization", deterministic=False),
    _signature("kv-cache-memory", r"Not enough memory\. Please try to increase --mem-fraction-static|"
               r"No available memory for the cache blocks|larger than the available KV cache memory|"
               r"larger than the maximum number of tokens that can be stored in KV cache"),
    _signature("cuda-oom", r"OutOfMemoryError|CUDA out of memory|CUDA (driver )?error: out of memory|"
               r"CU(BLAS|DNN)_STATUS_ALLOC_FAILED|Cuda failure \d+ 'out of memory'"),
    _signature("shm-too-small", r"/dev/shm/nccl|Error while creating shared memory segment|/dev/shm\S*.*No space left|"
               r"No space left on device: '/dev/shm|insufficient shared memory"),
    _signature("shm-too-small", r"NCCL error.*unhandled system error", before=r"/dev/shm|shared memory segment"),
    _signature("shm-too-small", r"No space left on device", block=r"shared_memory\.py|multiprocessing/heap\.py"),
    _signature("disk-full", r"No space left on device|Disk quota exceeded", deterministic=False),
    _signature("host-oom", r"EOFError", before=r"Exit code: -9"),
    _signature("engine-args-invalid", r"(Assertion|Value|NotImplemented)Error", block=r"server_args\.py|arg_utils\.py"),
    _signature("engine-args-invalid", r"Chat template .* is not a built-in template name or a valid"),
    _signature("tp-gpu-mismatch", r"invalid device ordinal|is not divisible by \d+|total_num_heads % tp_size|"
               r"divisible by tensor parallel size|is not divisible by weight quantization block|"
               r"larger than the number of available GPUs|number of required GPUs exceeds"),
    _signature("tp-gpu-mismatch", r"AssertionError", block=r"% (self\.)?tp_size|total_num_heads %"),
    _signature("download-corrupt", r"SafetensorError|JSONDecodeError: Extra data|incomplete metadata|"
               r"PytorchStreamReader failed reading zip archive|UnpicklingError: invalid load key",
               deterministic=False),
    _signature("download-corrupt", r"JSONDecodeError",
               block=r"configuration_|tokenization_|hf_transformers|loader|weight_", deterministic=False),
    _signature("crashloop-custom-code", r"contains custom code which must be executed|trust_remote_code=True"),
    _signature("crashloop-custom-code", r"FileNotFoundError: .*\.py'?$|No such file or directory: '.*\.py'|"
               r"does not appear to have a file named \S+\.py\b"),
    _signature("crashloop-custom-code", r"ModuleNotFoundError: No module named 'transformers_modules"),
    _signature("crashloop-custom-code", r"ImportError: cannot import name", block=r"transformers_modules"),
    _signature("crashloop-missing-module", r"ModuleNotFoundError: No module named '(?P<detail>[^']+)'"),
    _signature("crashloop-missing-module", r"ImportError: .*requires the following packages.*: (?P<detail>\S+)"),
    _signature("crashloop-missing-module", r"ImportError: .*(not found in your environment|is not installed|"
               r"lease install|cannot open shared object file|cannot import name)|No package metadata was found for"),
    _signature("crashloop-unsupported-architecture",
               r"(?P<detail>\w+) has no SGlang implementation and the Transformers implementation is not compatible|"
               r"Model architectures \[[^\]]*\] (are not supported|failed to be inspected)|Unsupported architectures: |"
               r"is not a registered model|Transformers does not recognize this architecture|"
               r"Unrecognized configuration class|Unrecognized model in "),
    _signature("crashloop-unsupported-architecture", r"KeyError: '\w+'",
               block=r"configuration_auto\.py|CONFIG_MAPPING"),
    _signature("crashloop-unsupported-architecture", r"AttributeError: '\w*Config' object has no attribute",
               before=r"has no SGlang implementation, falling back to Transformers"),
    _signature("crashloop-tokenizer", r"\w*Tokenizer\w*\.\w+\(\) got an unexpected keyword argument|"
               r"'\w*Tokenizer\w*' object has no (attribute|setter)|Tokenizer class \w+ does not exist|"
               r"instantiate the backend tokenizer|variant of untagged enum \w+|Can't load tokenizer for"),
    _signature("crashloop-tokenizer", r"(Type|Attribute|Value|Key|NotImplemented)Error", block=r"tokenization_\w+\.py"),
    _signature("weights-missing-on-node", r"does not appear to have a file named|Cannot find any model weights|"
               r"Error no file named \S+|Can't load the configuration of|"
               r"No such file or directory: '/\S*(config\.json|models?/)", deterministic=False),
    _signature("weights-missing-on-node", r"HFValidationError: Repo id must be .*'/|Incorrect path_or_model_id: '/",
               deterministic=False),
    _signature("crashloop-weights", r"Cannot find the config file for \w+|Unknown quantization method|"
               r"quantization method \S+ is not supported for the current GPU"),
    _signature("crashloop-weights", r"KeyError: '[\w.]+'|size mismatch|shape mismatch|(Assertion|Value)Error.*shape",
               block=r"load_weights|load_model|weight_loader"),
    _signature("crashloop-weights",
               r"^(?!.*(CUDA error|NCCL)).*(Key|Assertion|Value|Runtime|Index|Attribute|Type)Error",
               block=r"load_weights|weight_loader|load_state_dict"),
    _signature("engine-args-invalid", r"validation errors? for \w+[\s\S]*Value error, (?P<detail>.*)"),
)  # fmt: skip
"""Tried in order on the primary exception's line, then on that and the rest of its message; the first match wins."""

LINES = (
    _signature("engine-args-invalid", r"launch_server\.py: error: (?P<detail>.*)"),
    _signature("engine-args-invalid", r"^\w[\w./ -]*: error: (?P<detail>(argument |unrecognized arguments|"
               r"ambiguous option|the following arguments are required).*)"),
    _signature("crashloop-unsupported-architecture", r"(?P<detail>\w+) has no SGlang implementation and the "
               r"Transformers implementation is not compatible|Model architectures \[[^\]]*\] are not supported"),
    _signature("gpu-memory-occupied", r"The memory capacity is unbalanced", deterministic=False),
    _signature("shm-too-small", r"Fatal Python error: Bus error", deterministic=False),
)  # fmt: skip
"""Tried on every line of a log without an exception."""

BARE = re.compile(
    r"(?:^|[\s\]])(?:(?:[A-Za-z_][\w.]*(?:Error|Exception)|CUDA error|NVRM|Cuda failure)\b.*: |CUDA out of memory)"
)
"""A line that names an exception outside a traceback; worth something only where the process has ended."""

WARMUP_FAILED = re.compile(r"Initialization failed\. warmup error:")
"""Before the traceback of a warm-up request that was refused or broke."""

WARMUP_GAVE_UP = re.compile(r"ReadTimeout|Read timed out|Watchdog timeout")
"""The warm-up request got no answer: it did not fail, it hangs."""
