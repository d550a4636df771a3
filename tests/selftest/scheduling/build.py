"""Plans, campaigns and jobs of any shape."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelrt.plan.model import Campaign, Case, Plan, ProbeKind, Serving, Tier
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits

TIERS = (Tier("gpu1", 1, 1, 10), Tier("gpu2", 2, 3, 5), Tier("gpu4", 4, 7, 3), Tier("gpu8", 8, None, 1))
CAMPAIGN = Campaign(tiers=TIERS)
LIMITS = Limits.of(CAMPAIGN)


def case(vendor: str, name: str, gpus: int = 1, phase: int = 1, index: int = 1, gigabytes: float = 16.0) -> Case:
    serving = Serving("image", min(gpus, 8), max(1, gpus // 8), 10, "30Gi", 0.9, (), "1B", "2B", 960)
    return Case(
        index=index,
        vendor=vendor,
        name=name,
        size="8B",
        type="Chat",
        gpus=gpus,
        gpus_open_ended=False,
        phase=phase,
        hub_id=f"{vendor}/{name}",
        resource_name=name.lower(),
        runtime_name=f"srt-{name.lower()}",
        probe=ProbeKind.CHAT,
        probe_input="text",
        has_chat_template=True,
        reasoning=False,
        gated=False,
        storage_path="/raid",
        architecture="LlamaForCausalLM",
        framework_version="4.43.0",
        model_format="safetensors",
        parameter_size="8B",
        parameters=gigabytes / 2 * 1e9,
        weights_bytes=int(gigabytes * 1e9),
        gpu_weights_bytes=int(gigabytes * 1e9),
        quantization=None,
        capabilities=("TEXT_TO_TEXT",),
        serving=serving,
    )


def plan(*counts: tuple[int, int]) -> Plan:
    """A plan with so many cases (second number) of so many GPUs (first number), two vendors, phase by size."""
    cases: list[Case] = []
    for gpus, count in counts:
        phase = {1: 1, 2: 2, 4: 3}.get(gpus, 4)
        for number in range(count):
            index = len(cases) + 1
            cases.append(case(f"v{number % 2}", f"m{gpus}-{number}", gpus, phase, index))
    return Plan(tuple(cases))


def job(key: str, gpus: int = 1, seconds: float = 60.0, phase: int = 1, group: int = 1, index: int = 0) -> Job:
    return Job(key, (f"t.py::test[{key}]",), gpus, seconds, key if gpus else None, phase, group, index)


def keys(jobs: Sequence[Job]) -> list[str]:
    return [one.key for one in jobs]
