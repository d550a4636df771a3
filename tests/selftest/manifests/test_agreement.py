"""The comparison before the apply agrees with what the simulated platform decides afterwards."""

import copy
import random
from typing import Any

import pytest

from pytest_modelrt.manifests.compare import MismatchKind, compare, platform_reason
from pytest_modelrt.manifests.objects import Object
from pytest_modelrt.manifests.versions import Profile
from pytest_modelrt.simulator.controllers.ome.matching import MismatchError, PanicError, check_runtime
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
    "4.45.0.post1",
    "4.45.0+cu124",
    "v4.45",
    "04.45.0",
    "4.45.dev0",
    "",
]
OPERATORS = [None, "Equal", "GreaterThan", "GreaterThanOrEqual"]
SIZES = ["7B", "8.03B", "135M", "1.03T", "700K", "7b", "0", "9B", "0.5B", "7 B", ".5B", "7000M", "0.007T", "B", ""]
PIPELINES = [{"className": "FluxPipeline"}, {"className": "FluxPipeline", "vae": "AutoencoderKL"}, {"vae": "Other"}, {}]
RELEASES = {
    "v0.1.3": Profile.V0_1_4,
    "v0.1.4": Profile.V0_1_4,
    "interim": Profile.V0_1_5,
    "v0.1.5": Profile.V0_1_5,
}
"""Release of the simulated platform -> how the suite compares there."""
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
        **({"quantization": chance.choice(["fp8", "int4", ""])} if chance.random() < 0.1 else {}),
        **({"diffusionPipeline": chance.choice(PIPELINES)} if chance.random() < 0.15 else {}),
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
    if chance.random() < 0.03:
        model["modelFormat"] = {"name": ""}  # what the controller leaves of a model nobody could read
    entries = chance.choice([0, *[1] * 20, 2, 2, 3])
    runtime: Object = {"supportedModelFormats": [entry(chance, model) for _ in range(entries)]}
    if chance.random() < 0.7:
        bounds = {"min": chance.choice(SIZES), "max": chance.choice(SIZES)}
        kept = ("min", "max") if chance.random() < 0.85 else chance.choice([("min",), ("max",), ()])
        runtime["modelSizeRange"] = {bound: bounds[bound] for bound in kept}
    return {"spec": model}, {"kind": "ClusterServingRuntime", "metadata": {"name": "srt-x"}, "spec": runtime}


def platforms_word(model: Object, runtime: Object, release: str) -> str | None:
    """Why the simulated platform does not take the pair; None where it does."""
    try:
        check_runtime("srt-x", runtime["spec"], model["spec"], PROFILES[release])
    except (MismatchError, PanicError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("release", RELEASES)
def test_a_thousand_random_pairs_are_judged_alike(release: str) -> None:
    refused = panics = 0
    for seed in range(1000):
        model, runtime = pair(seed)
        ours = compare(model, runtime, RELEASES[release])
        theirs = platforms_word(model, runtime, release)
        assert bool(ours) == (theirs is not None), (seed, ours, theirs)
        if theirs is None:
            continue
        refused += 1
        if theirs.startswith("panic"):
            panics += 1
            assert ours[-1].kind == MismatchKind.SIZE, seed
        elif len(runtime["spec"]["supportedModelFormats"]) < 2 or ours[0].kind == MismatchKind.SIZE:
            assert theirs.endswith(platform_reason(model, ours, RELEASES[release])), seed
    assert 100 < refused < 950
    assert panics > 3
