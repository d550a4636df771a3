"""Weights against GPU memory: what can never start is said before anything is downloaded."""

from __future__ import annotations

from pytest_modelrt.plan.model import Case, Hardware

OVERHEAD = 1.05
"""What the engine needs beside the weights, at the very least. Kept small: only what cannot work is refused."""

DEFAULT_FRACTION = 0.9
"""Share of GPU memory an engine takes where its arguments do not say."""


def weights_fit(case: Case, hardware: Hardware) -> str | None:
    """Why a case, served as the plan says, cannot run on the cluster, with the arithmetic; None where it can."""
    serving = case.serving
    return shape_fits(
        case.gpu_weights_bytes,
        gpus_per_pod=serving.gpus_per_node,
        pods=serving.nodes,
        mem_fraction=serving.mem_fraction,
        hardware=hardware,
    )


def shape_fits(
    weights_bytes: int, *, gpus_per_pod: int, pods: int, mem_fraction: float | None, hardware: Hardware
) -> str | None:
    """As ``weights_fit``, for ``pods`` pods of ``gpus_per_pod`` GPUs that share the weights."""
    gpus = gpus_per_pod * pods
    if not gpus:
        return None
    if gpus_per_pod > hardware.gpus_per_node:
        return f"one pod asks for {gpus_per_pod} GPUs, the largest node has {hardware.gpus_per_node}"
    if -(-pods // (hardware.gpus_per_node // gpus_per_pod)) > hardware.nodes:
        return f"{gpus} GPUs asked, the cluster has {hardware.gpus}"
    fraction = DEFAULT_FRACTION if mem_fraction is None else mem_fraction
    needed = weights_bytes * OVERHEAD
    usable = gpus * hardware.gpu_memory_bytes * fraction
    if needed <= usable:
        return None
    per_gpu = hardware.gpu_memory_bytes
    least = 1
    while least * per_gpu * fraction < needed:
        least *= 2  # tensor parallelism comes in powers of two
    return (
        f"weights {_gb(weights_bytes)} x {OVERHEAD:g} = {_gb(needed)} GB > "
        f"{gpus} GPU{'s' if gpus > 1 else ''} x {_gb(per_gpu)} GB x {fraction:g} = {_gb(usable)} GB; "
        f"at least {least} GPUs are needed"
    )


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f}".removesuffix(".0")
