"""What the agent reads from a downloaded repository's config.json (facts: ome.md, 2.8)."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.controllers.profile import Profile
from pytest_modelrt.simulator.hub import HubRepo

_V013 = """
baichuan bert chatglm cohere command-r dbrx deepseek_v3 deepseek_vl_v2 exaone gemma gemma2 internlm internlm2 janus
kimi_k2 llama llama4 llava minicpm minicpm3 mistral mixtral mllama multi_modality phi phi3_v qwen2 qwen2_vl
stablelm xverse
"""
_NEW_IN_V014 = """
gemma3 gemma3_text gpt_oss phi3 phi3small phimoe qwen qwen2_5_vl qwen3 qwen3_moe qwen3_vl qwen3_vl_moe
"""
_PARSERS = {"v0.1.3": frozenset(_V013.split()), "v0.1.4": frozenset((_V013 + _NEW_IN_V014).split())}
_FILLED_BY_AGENT = (
    "modelType",
    "modelArchitecture",
    "modelParameterSize",
    "modelCapabilities",
    "modelFramework",
    "modelFormat",
    "quantization",
)
_BYTES_PER_PARAMETER = {"float8_e4m3fn": 1, "float32": 4}


class ParseError(Exception):
    """config.json is of a kind this release cannot read."""


def read_config(repo: HubRepo, path: str, profile: Profile) -> dict[str, Any]:
    """The ``config`` of a node's entry.

    Raises:
        ParseError: the model type is unknown to this release.
    """
    if not profile.generic_parser and repo.model_type not in _PARSERS[profile.name]:
        raise ParseError(f"unsupported model type '{repo.model_type}' in {path}/config.json")
    config: dict[str, Any] = {
        "modelType": repo.model_type,
        "modelArchitecture": repo.architecture,
        "modelFramework": {"name": "transformers", "version": repo.framework_version},
        "modelFormat": {"name": repo.model_format, "version": "1.0.0"},
        "modelParameterSize": repo.parameter_size,
        "modelCapabilities": list(repo.capabilities),
        "maxTokens": repo.context_length,
        "decodedModelConfiguration": _configuration(repo, profile),
    }
    if repo.quantization in ("fp8", "int4"):
        config["quantization"] = repo.quantization
    if profile.artifact_reuse:
        config["artifact"] = {"sha": repo.sha, "parentPath": {repo.hub_id: path}, "childrenPaths": []}
    return config


def spec_changes(spec: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """What the agent writes into a model's spec: fields still unset, and always ``modelConfiguration``."""
    changes = {}
    for name in _FILLED_BY_AGENT:
        present = spec.get(name)
        if isinstance(present, dict):
            present = present.get("name")
        if not present and config.get(name):
            changes[name] = config[name]
    if spec.get("modelConfiguration") != config["decodedModelConfiguration"]:
        changes["modelConfiguration"] = config["decodedModelConfiguration"]
    return changes


def _configuration(repo: HubRepo, profile: Profile) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "model_type": repo.model_type,
        "architecture": repo.architecture,
        "context_length": repo.context_length,
        "parameter_count": repo.parameter_size,
        "has_vision": any("IMAGE" in capability for capability in repo.capabilities),
        "transformers_version": repo.framework_version,
        "torch_dtype": repo.torch_dtype,
        "model_size_bytes": int(repo.parameters * _BYTES_PER_PARAMETER.get(repo.torch_dtype, 2)),
    }
    if profile.generic_parser:
        configuration["is_embedding"] = "EMBEDDING" in repo.capabilities
    return configuration
