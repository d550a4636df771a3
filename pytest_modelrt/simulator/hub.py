"""The model hub as the simulated cluster sees it: what a repository holds, by its id.

Repositories of the plan are known exactly (``config/plan.yaml``); any other id gets a guess from its name, so that a
user's own manifests run too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.model import Case, ProbeKind

_MODEL_TYPES = {
    "BertModel": "bert",
    "CLIPModel": "clip",
    "ChatGLMModel": "chatglm",
    "XLMRobertaModel": "xlm-roberta",
    "MistralModel": "mistral",
    "MllamaForConditionalGeneration": "mllama",
    "PhiMoEForCausalLM": "phimoe",
    "Phi3VForCausalLM": "phi3_v",
    "Phi4MMForCausalLM": "phi4mm",
    "QWenLMHeadModel": "qwen",
    "Qwen2_5_VLForConditionalGeneration": "qwen2_5_vl",
    "JanusMultiModalityCausalLM": "multi_modality",
    "GPTNeoXForCausalLM": "gpt_neox",
    "MiniCPMV": "minicpmv",
    "DeciLMForCausalLM": "nemotron-nas",
    "Ernie4_5_MoeForCausalLM": "ernie4_5_moe",
    "NemotronH_Nano_VL_V2": "NemotronH_Nano_VL_V2",
    "InternLM2ForRewardModel": "internlm2",
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "DeepseekVLV2ForCausalLM": "deepseek_vl_v2",
    "DotsOCRForCausalLM": "dots_ocr",
    "DotsVLMForCausalLM": "dots_vlm",
    "Gemma3ForCausalLM": "gemma3_text",
    "Grok1ModelForCausalLM": "grok-1",
    "KimiVLForConditionalGeneration": "kimi_vl",
    "LlavaLlamaForCausalLM": "llava",
    "LlavaLlamaModel": "llava",
    "LlavaQwenForCausalLM": "llava",
    "MiMoForCausalLM": "mimo",
    "MiniMaxM2ForCausalLM": "minimax",
    "NemotronHForCausalLM": "nemotron_h",
    "Phi3SmallForCausalLM": "phi3small",
    "Qwen2VLForConditionalGeneration": "qwen2_vl",
    "Qwen3VLMoeForConditionalGeneration": "qwen3_vl_moe",
    "XLMRobertaForSequenceClassification": "xlm-roberta",
}
_SUFFIXES = ("ForCausalLM", "ForConditionalGeneration", "ForSequenceClassification", "ForRewardModel", "Model")
_CONTEXT = {"bert": 512, "xlm-roberta": 8192, "clip": 77, "gpt_neox": 2048, "phi": 2048, "baichuan": 4096, "gptj": 2048}
_DEFAULT_CONTEXT = 8192
_EMBEDDING_WIDTHS = {"bert": 1024, "xlm-roberta": 1024, "clip": 768}


@dataclass(frozen=True, slots=True)
class HubRepo:
    """What the hub holds under one id, and what a served copy of it can do."""

    hub_id: str
    model_type: str
    """``model_type`` of config.json."""
    architecture: str
    framework_version: str
    """Version of transformers in config.json."""
    model_format: str
    parameters: float
    parameter_size: str
    """As the platform writes it: ``8.03B``, ``135M``, ``0`` when unknown."""
    weights_bytes: int
    """As published, i.e. to download."""
    gpu_weights_bytes: int
    """As loaded onto the GPUs."""
    quantization: str | None
    capabilities: tuple[str, ...]
    probe: ProbeKind
    has_chat_template: bool
    reasoning: bool
    gated: bool
    context_length: int = _DEFAULT_CONTEXT
    embedding_width: int = 1024
    exists: bool = True
    known: bool = True
    """False: guessed from the id, not in the plan."""

    @property
    def sha(self) -> str:
        """Commit of the default branch; stable for an id."""
        return hashlib.sha1(self.hub_id.encode()).hexdigest()

    @property
    def files(self) -> int:
        """Count of files: shards of about 5 GB and a handful of small ones."""
        return 8 + max(1, round(self.weights_bytes / 5e9))

    @property
    def torch_dtype(self) -> str:
        """``torch_dtype`` of config.json."""
        return "float8_e4m3fn" if self.quantization == "fp8" else "bfloat16"


class Hub:
    """All repositories, looked up by id (a revision after ``@`` is ignored)."""

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        self._repos: dict[str, HubRepo] = {}
        for case in cases:
            self._repos.setdefault(case.hub_id.lower(), repo_of(case))

    @classmethod
    def load(cls, config: Path) -> Hub:
        """The hub of a config tree (its plan, or the built-in one).

        Raises:
            pytest_modelrt.plan.problems.ConfigError: the plan is there but not valid.
        """
        return cls(load_plan(config).cases)

    def repo(self, hub_id: str) -> HubRepo:
        """Facts about ``hub_id``; a guess when the plan does not know it."""
        plain = hub_id.removeprefix("hf://").partition("@")[0].strip("/")
        return self._repos.get(plain.lower()) or guess(plain)

    def __len__(self) -> int:
        return len(self._repos)


def repo_of(case: Case) -> HubRepo:
    """The repository a row of the plan downloads."""
    model_type = model_type_of(case.architecture)
    return HubRepo(
        hub_id=case.hub_id,
        model_type=model_type,
        architecture=case.architecture,
        framework_version=case.framework_version,
        model_format=case.model_format,
        parameters=case.parameters,
        parameter_size=case.parameter_size,
        weights_bytes=case.weights_bytes,
        gpu_weights_bytes=case.gpu_weights_bytes,
        quantization=case.quantization,
        capabilities=case.capabilities,
        probe=case.probe,
        has_chat_template=case.has_chat_template,
        reasoning=case.reasoning,
        gated=case.gated,
        context_length=_CONTEXT.get(model_type, _DEFAULT_CONTEXT),
        embedding_width=_embedding_width(model_type, case.parameters),
    )


def model_type_of(architecture: str) -> str:
    """``model_type`` as config.json usually spells it: ``Qwen3MoeForCausalLM`` -> ``qwen3_moe``."""
    if architecture in _MODEL_TYPES:
        return _MODEL_TYPES[architecture]
    stem = architecture
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", stem).lower() or "unknown"


def guess(hub_id: str) -> HubRepo:
    """A plausible repository for an id the plan does not know, by the words in its name."""
    name = hub_id.rpartition("/")[2].lower()
    probe = _guess_probe(name)
    architecture = _guess_architecture(name, probe)
    parameters = _guess_parameters(name)
    quantization = "fp8" if "fp8" in name else "int4" if re.search(r"int4|awq|gptq", name) else None
    weights = int(parameters * {"fp8": 1.0, "int4": 0.6}.get(quantization or "", 2.0))
    model_type = model_type_of(architecture)
    return HubRepo(
        hub_id=hub_id,
        model_type=model_type,
        architecture=architecture,
        framework_version="4.51.3",
        model_format="safetensors",
        parameters=parameters,
        parameter_size=size_text(parameters),
        weights_bytes=weights,
        gpu_weights_bytes=weights,
        quantization=quantization,
        capabilities=_CAPABILITIES[probe],
        probe=probe,
        has_chat_template=probe in (ProbeKind.CHAT, ProbeKind.VISION_CHAT, ProbeKind.OCR),
        reasoning=bool(re.search(r"r1|qwq|thinking|reason", name)),
        gated=False,
        context_length=_CONTEXT.get(model_type, _DEFAULT_CONTEXT),
        embedding_width=_embedding_width(model_type, parameters),
        known=False,
    )


def size_text(parameters: float) -> str:
    """A parameter count as the platform writes it: ``8.03B``, ``135M``, ``1T``, ``0``."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= scale:
            return f"{parameters / scale:.2f}".rstrip("0").rstrip(".") + unit
    return "0"


_CAPABILITIES: Mapping[ProbeKind, tuple[str, ...]] = {
    ProbeKind.CHAT: ("TEXT_TO_TEXT",),
    ProbeKind.COMPLETION: ("TEXT_TO_TEXT",),
    ProbeKind.VISION_CHAT: ("IMAGE_TEXT_TO_TEXT",),
    ProbeKind.OCR: ("IMAGE_TEXT_TO_TEXT",),
    ProbeKind.EMBEDDING: ("EMBEDDING",),
    ProbeKind.RERANK: ("EMBEDDING",),
    ProbeKind.REWARD: ("TEXT_TO_TEXT",),
    ProbeKind.CLASSIFY: ("TEXT_TO_TEXT",),
}
_PROBE_WORDS = (
    (r"rerank", ProbeKind.RERANK),
    (r"reward|-rm(-|$)", ProbeKind.REWARD),
    (r"classif", ProbeKind.CLASSIFY),
    (r"embed|bge|gte|e5|clip", ProbeKind.EMBEDDING),
    (r"ocr", ProbeKind.OCR),
    (r"-vl|vision|llava|-v-", ProbeKind.VISION_CHAT),
    (r"instruct|chat|-it(-|$)|r1|qwen3", ProbeKind.CHAT),
)
_FAMILIES = (
    (r"qwen3", "Qwen3ForCausalLM"),
    (r"qwen", "Qwen2ForCausalLM"),
    (r"mixtral", "MixtralForCausalLM"),
    (r"mistral", "MistralForCausalLM"),
    (r"gemma-?3", "Gemma3ForCausalLM"),
    (r"gemma", "Gemma2ForCausalLM"),
    (r"phi", "Phi3ForCausalLM"),
    (r"deepseek-(v3|r1$)", "DeepseekV3ForCausalLM"),
    (r"gpt-j", "GPTJForCausalLM"),
    (r"dolly|pythia|redpajama|stablelm", "GPTNeoXForCausalLM"),
    (r"falcon", "FalconForCausalLM"),
    (r"bloom", "BloomForCausalLM"),
    (r"mpt", "MPTForCausalLM"),
)


def _guess_probe(name: str) -> ProbeKind:
    for pattern, probe in _PROBE_WORDS:
        if re.search(pattern, name):
            return probe
    return ProbeKind.COMPLETION


def _guess_architecture(name: str, probe: ProbeKind) -> str:
    if probe is ProbeKind.RERANK:
        return "XLMRobertaForSequenceClassification"
    if probe is ProbeKind.EMBEDDING and "bge" in name:
        return "BertModel"
    for pattern, architecture in _FAMILIES:
        if re.search(pattern, name):
            return architecture
    return "LlamaForCausalLM"


def _guess_parameters(name: str) -> float:
    experts = re.search(r"(\d+)x(\d+(?:\.\d+)?)b", name)
    if experts:
        return int(experts.group(1)) * float(experts.group(2)) * 0.85e9
    sizes = re.findall(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])", name)
    if not sizes:
        return 7e9
    return max(float(number) * (1e9 if unit == "b" else 1e6) for number, unit in sizes)


def _embedding_width(model_type: str, parameters: float) -> int:
    """Length of an embedding vector: the hidden size of the class, or one usual for the size."""
    if model_type in _EMBEDDING_WIDTHS:
        return _EMBEDDING_WIDTHS[model_type]
    for limit, width in ((1e9, 1024), (3e9, 1536), (6e9, 2560), (10e9, 4096)):
        if parameters < limit:
            return width
    return 8192
