"""What an engine writes while it starts, in the words people grep for (facts: failures, A13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_modelrt.clock import utc_now
from pytest_modelrt.simulator.hub import HubRepo
from pytest_modelrt.simulator.nodes.engines.arguments import EngineArguments

USABLE_BYTES = 84.5e9
"""Memory of one GPU that the engine can use."""
_GIB = 2.0**30
_MOMENTS = {
    "start": 0.0,
    "server_args": 0.03,
    "load_begin": 0.18,
    "load_end": 0.62,
    "kv_cache": 0.66,
    "graphs": 0.7,
    "max_tokens": 0.86,
    "http": 0.9,
    "warmup": 0.92,
    "ready": 1.0,
}
"""Share of the start-up time at which each phase is reached."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How the weights sit on the GPUs."""

    per_gpu: float
    """Bytes of weights on one GPU."""
    fraction: float
    """Share of the memory the engine may use for weights and cache."""

    @classmethod
    def of(cls, arguments: EngineArguments, repo: HubRepo) -> Memory:
        """Tensor parallelism spreads the weights evenly."""
        return cls(repo.gpu_weights_bytes / max(1, arguments.tensor_parallel), arguments.mem_fraction)

    @property
    def fits(self) -> bool:
        """Whether the weights can be loaded."""
        return self.per_gpu < USABLE_BYTES

    @property
    def cache_bytes(self) -> float:
        """What is left for the KV cache; not positive: the engine cannot start."""
        return USABLE_BYTES * self.fraction - self.per_gpu

    def left_gib(self) -> float:
        """Free memory after loading."""
        return max(0.0, (USABLE_BYTES - self.per_gpu) / _GIB)


def moment(milestone: str) -> float:
    """Share of the start-up time (0 to 1) at which a milestone is reached."""
    return _MOMENTS[milestone]


def lines(milestone: str, arguments: EngineArguments, repo: HubRepo) -> Iterator[str]:
    """The log lines of one milestone."""
    memory = Memory.of(arguments, repo)
    tensor_parallel = arguments.tensor_parallel > 1
    rank = _stamp(
        f" TP{arguments.rank * max(1, arguments.tensor_parallel // arguments.nodes)}" if tensor_parallel else ""
    )
    plain = _stamp("")
    cache_tokens = max(1024, int(memory.cache_bytes / 160_000))
    match milestone:
        case "server_args":
            yield f"{plain} {_server_args(arguments)}"
            yield f"{plain} Using default HuggingFace chat template with detected content format: string"
        case "load_begin":
            yield f"{rank} Init torch distributed begin."
            yield f"{rank} Init torch distributed ends. mem usage=0.00 GB"
            yield f"{rank} Load weight begin. avail mem={USABLE_BYTES / _GIB:.2f} GB"
        case "load_end":
            used = memory.per_gpu / _GIB
            kind = f"type={repo.architecture}, dtype=torch.{repo.torch_dtype}"
            yield f"{rank} Load weight end. {kind}, avail mem={memory.left_gib():.2f} GB, mem usage={used:.2f} GB."
        case "kv_cache":
            half = max(0.0, memory.cache_bytes) / _GIB / 2
            yield f"{rank} KV Cache is allocated. #tokens: {cache_tokens}, K size: {half:.2f} GB, V size: {half:.2f} GB"
            yield f"{rank} Memory pool end. avail mem={USABLE_BYTES * (1 - memory.fraction) / _GIB:.2f} GB"
        case "graphs" if arguments.cuda_graph:
            free = USABLE_BYTES * (1 - memory.fraction) / _GIB
            yield f"{rank} Capture cuda graph begin. This can take up to several minutes. avail mem={free:.2f} GB"
            yield f"{rank} Capture cuda graph bs [1, 2, 4, 8, 12, 16, 24, 32]"
        case "max_tokens":
            length = arguments.context_length or repo.context_length
            limits = "chunked_prefill_size=8192, max_prefill_tokens=16384, max_running_requests=2048"
            yield f"{rank} max_total_num_tokens={cache_tokens}, {limits}, context_len={length}"
        case "http":
            yield "INFO:     Started server process [1]"
            yield "INFO:     Waiting for application startup."
            yield "INFO:     Application startup complete."
            yield f"INFO:     Uvicorn running on http://0.0.0.0:{arguments.port} (Press CTRL+C to quit)"
        case "warmup" if not arguments.skip_warmup:
            yield f"{plain} Start of co-locate warmup ..."
        case "ready":
            if not arguments.skip_warmup:
                yield f"{plain} End of co-locate warmup with status 200, resp: [0]"
            yield f"{plain} The server is fired up and ready to roll!"


def _server_args(arguments: EngineArguments) -> str:
    return (
        f"server_args=ServerArgs(model_path='{arguments.model_path}', tokenizer_path='{arguments.model_path}', "
        f"served_model_name='{arguments.served_name}', port={arguments.port}, tp_size={arguments.tensor_parallel}, "
        f"nnodes={arguments.nodes}, node_rank={arguments.rank}, mem_fraction_static={arguments.mem_fraction}, "
        f"context_length={arguments.context_length}, is_embedding={arguments.is_embedding}, "
        f"skip_server_warmup={arguments.skip_warmup}, disable_cuda_graph={not arguments.cuda_graph})"
    )


def _stamp(rank: str) -> str:
    return f"[{utc_now():%Y-%m-%d %H:%M:%S}{rank}]"
