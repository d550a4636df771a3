"""The engine's command line, and what the served model can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_modelrt.plan.model import ProbeKind
from pytest_modelrt.simulator.hub import HubRepo

_NOT_GENERATING = {
    "BertModel",
    "CLIPModel",
    "MistralModel",
    "XLMRobertaModel",
    "XLMRobertaForSequenceClassification",
    "BertForSequenceClassification",
    "LlamaForSequenceClassification",
    "Gemma2ForSequenceClassification",
    "InternLM2ForRewardModel",
    "Qwen2ForRewardModel",
    "Qwen2ForSequenceClassification",
}
"""Classes the engine serves without generation even when ``--is-embedding`` is missing."""
_FALLBACK_FRACTION = 0.88


class Role(StrEnum):
    """What a served model does."""

    GENERATE = "generate"
    EMBED = "embed"
    RERANK = "rerank"
    SCORE = "score"
    """Reward models: one number."""
    CLASSIFY = "classify"


@dataclass(frozen=True, slots=True)
class EngineArguments:
    """The options the simulated engine heeds; all others are accepted."""

    model_path: str
    served_name: str
    port: int
    tensor_parallel: int
    nodes: int
    rank: int
    mem_fraction: float
    is_embedding: bool
    skip_warmup: bool
    chat_template: str
    reasoning_parser: str
    context_length: int | None
    cuda_graph: bool
    meeting_point: str

    @classmethod
    def parse(cls, argv: Sequence[str]) -> EngineArguments:
        """Read a command line; ``--name value`` and ``--name=value`` both."""
        options = options_of(argv)

        def number(*names: str, default: int) -> int:
            text = next((options[name] for name in names if name in options), "")
            return int(text) if text.lstrip("-").isdigit() else default

        path = options.get("model-path") or options.get("model") or ""
        fraction = options.get("mem-fraction-static", "")
        context = number("context-length", default=0)
        return cls(
            model_path=path,
            served_name=options.get("served-model-name") or path,
            port=number("port", default=30000),
            tensor_parallel=number("tp-size", "tensor-parallel-size", "tp", default=1),
            nodes=number("nnodes", default=1),
            rank=number("node-rank", default=0),
            mem_fraction=float(fraction) if fraction.replace(".", "", 1).isdigit() else _FALLBACK_FRACTION,
            is_embedding="is-embedding" in options,
            skip_warmup="skip-server-warmup" in options,
            chat_template=options.get("chat-template", ""),
            reasoning_parser=options.get("reasoning-parser", ""),
            context_length=context or None,
            cuda_graph="disable-cuda-graph" not in options,
            meeting_point=options.get("dist-init-addr", ""),
        )


def role_of(arguments: EngineArguments, repo: HubRepo) -> Role:
    """What the engine does with this model when started this way."""
    if not arguments.is_embedding and repo.architecture not in _NOT_GENERATING:
        return Role.GENERATE
    return _ROLES.get(repo.probe, Role.EMBED)


def has_template(arguments: EngineArguments, repo: HubRepo) -> bool:
    """Whether chat works: a template of the tokenizer, of the command line, or the engine's own for image models."""
    return (
        repo.has_chat_template or bool(arguments.chat_template) or repo.probe in (ProbeKind.VISION_CHAT, ProbeKind.OCR)
    )


def sees_pictures(repo: HubRepo) -> bool:
    """Whether the model takes images."""
    return repo.probe in (ProbeKind.VISION_CHAT, ProbeKind.OCR) or any("IMAGE" in name for name in repo.capabilities)


_ROLES: Mapping[ProbeKind, Role] = {
    ProbeKind.RERANK: Role.RERANK,
    ProbeKind.REWARD: Role.SCORE,
    ProbeKind.CLASSIFY: Role.CLASSIFY,
}


def options_of(argv: Sequence[str]) -> dict[str, str]:
    """Every ``--name`` with its value; a following word that is no option is its value."""
    options: dict[str, str] = {}
    words = [part for word in argv for part in (word.split() if word.startswith("--") and " " in word else [word])]
    for index, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, separator, value = word[2:].partition("=")
        following = words[index + 1] if index + 1 < len(words) else ""
        options[name] = value if separator else "" if following.startswith("--") else following
    return options
