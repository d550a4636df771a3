"""The machines of the simulated cluster: names and hardware. Default: the plan's cluster, 14 nodes x 8 H100."""

from __future__ import annotations

from dataclasses import dataclass

GPU_RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class Fleet:
    """A cluster of equal nodes."""

    nodes: int = 14
    gpus_per_node: int = 8
    cpus: int = 192
    memory: str = "2048Gi"
    pods: int = 250
    gpu_product: str = "NVIDIA-H100-80GB-HBM3"
    gpu_memory_bytes: int = 85_520_000_000
    """What the driver reports, 81559 MiB."""

    @property
    def names(self) -> tuple[str, ...]:
        """Node names in order."""
        return node_names(self.nodes)


def node_names(count: int) -> tuple[str, ...]:
    """``gpu-node-01`` and so on; the first ``count``."""
    return tuple(f"gpu-node-{index:02d}" for index in range(1, count + 1))


def node_address(index: int) -> str:
    """Fake internal IP of the ``index``-th node, from 0."""
    return f"10.0.{113 + index // 250}.{index % 250 + 1}"
