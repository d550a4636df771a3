"""The comparison before the apply agrees with what the simulated platform decides afterwards."""

import copy
import random
from typing import Any

import pytest

from pytest_modelrt.manifests.compare import MismatchKind, compare, platform_reason
from pytest_modelrt.manifests.objects import Object
from pytest_modelrt.manifests.versions import Profile
from pytest_modelrt.simulator.controllers.ome.matching import MismatchError, check_runtime
from pytest_modelrt.simulator.controllers.profile import PROFILES

VERSIONS = [
    "4.45.0",
    "4.45.0.dev0",
    "4.45.0.dev1",
    "4.45",
    "4",
    "v4.45.0",
    "4.46.0",
    "4.45.0rc1",
    "4.9.0",
    "4.45.0-rc1",
]
OPERATORS = [None, "Equal", "GreaterThan", "GreaterThanOrEqual"]
SIZES = ["7B", "8.03B", "135M", "1.03T", "700K", "7b", "0", "9B", "0.5B"]
ARCHITECTURES = ["LlamaForCausalLM", "Qwen3ForCausalLM"]


def named(chance: random.Random, names: list[str]) -> Object:
    found: Object = {"name": chance.choice(names)}
    if chance.random() < 0.85:
        found["version"] = chance.choice(VERSIONS)
    return found


def sometimes(chance: random.Random, key: str, value: Any) -> Object:
    return {key: value} if chance.random() < 0.8 else {}


def spec(chance: random.Random) -> Object:
    """What a model and an entry of a runtime have in common."""
    return {
        "modelFormat": named(chance, ["safetensors", "safetensors", "safetensors", "pytorch"]),
        **sometimes(chance, "modelFramework", named(chance, ["transformers"])),
        **sometimes(chance, "modelArchitecture", chance.choice(ARCHITECTURES)),
        **({"quantization": chance.choice(["fp8", "int4"])} if chance.random() < 0.1 else {}),
    }


def entry(chance: random.Random, model: Object) -> Object:
    """An entry near the model: mostly its own facts, some drawn anew."""
    other = spec(chance)
    mixed = {key: model.get(key) if chance.random() < 0.75 else value for key, value in other.items()}
    found: Object = copy.deepcopy({key: value for key, value in mixed.items() if value is not None})
    for key in ("modelFormat", "modelFramework"):
        operator = chance.choice(OPERATORS)
        if operator is not None and key in found:
            found[key]["operator"] = operator
    return found


def pair(seed: int) -> tuple[Object, Object]:
    chance = random.Random(seed)
    model = {**spec(chance), **sometimes(chance, "modelParameterSize", chance.choice(SIZES))}
    runtime: Object = {"supportedModelFormats": [entry(chance, model) for _ in range(chance.choice([1, 1, 1, 2, 3]))]}
    if chance.random() < 0.7:
        low, high = chance.choice(SIZES), chance.choice(SIZES)
        runtime["modelSizeRange"] = {"min": low, "max": high}
    return {"spec": model}, {"kind": "ClusterServingRuntime", "metadata": {"name": "srt-x"}, "spec": runtime}


def platforms_word(model: Object, runtime: Object, profile: Profile) -> str | None:
    """Why the simulated platform refuses the pair; None where it does not."""
    try:
        check_runtime("srt-x", runtime["spec"], model["spec"], PROFILES[profile])
    except MismatchError as error:
        return str(error)
    return None


@pytest.mark.parametrize("profile", Profile)
def test_a_thousand_random_pairs_are_judged_alike(profile: Profile) -> None:
    refused = 0
    for seed in range(1000):
        model, runtime = pair(seed)
        ours = compare(model, runtime, profile)
        theirs = platforms_word(model, runtime, profile)
        assert bool(ours) == (theirs is not None), (seed, ours, theirs)
        if theirs is None:
            continue
        refused += 1
        if len(runtime["spec"]["supportedModelFormats"]) == 1 or ours[0].kind == MismatchKind.SIZE:
            assert theirs.endswith(platform_reason(model, ours, profile)), seed
    assert 100 < refused < 900
