"""A case of the plan with only what matters to a probe said aloud."""

from __future__ import annotations

from dataclasses import replace

from pytest_modelrt.plan.model import Case, ProbeKind, Serving

SERVING = Serving("engine:1", 1, 1, 10, "30Gi", 0.9, (), "6B", "10B", 960)
BASE = Case(
    index=1,
    vendor="meta",
    name="Llama-3.1-8B-Instruct",
    size="8B",
    type="Instruct",
    gpus=1,
    gpus_open_ended=False,
    phase=2,
    hub_id="meta-llama/Llama-3.1-8B-Instruct",
    resource_name="llama-3-1-8b-instruct",
    runtime_name="srt-llama-3-1-8b-instruct",
    probe=ProbeKind.CHAT,
    probe_input="text",
    has_chat_template=True,
    reasoning=False,
    gated=True,
    storage_path="/raid/models/meta/llama-3-1-8b-instruct",
    architecture="LlamaForCausalLM",
    framework_version="4.42.3",
    model_format="safetensors",
    parameter_size="8.03B",
    parameters=8.03e9,
    weights_bytes=16 * 10**9,
    gpu_weights_bytes=16 * 10**9,
    quantization=None,
    capabilities=("TEXT_TO_TEXT",),
    serving=SERVING,
)


def case_of(kind: ProbeKind, **changes: object) -> Case:
    return replace(BASE, probe=kind, **changes)  # type: ignore[arg-type]
