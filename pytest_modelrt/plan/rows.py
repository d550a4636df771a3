"""Rows of ``plan.yaml`` as cases. Pure: nodes and rules in, cases and problems out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from pytest_modelrt.plan.model import Case, PhaseRule, Plan, ProbeKind, Serving, phase_of
from pytest_modelrt.plan.reader import Mapping, Reader
from pytest_modelrt.plan.sizes import parameters

LABEL = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
SIZE = r"\d+(\.\d+)?[TBM]"
_GIB = r"\d+(\.\d+)?(Ki|Mi|Gi|Ti)"
_VERSION = r"\d+(\.\d+)*([.+-][0-9A-Za-z.]+)?"
_GPUS_PER_NODE = 8


@dataclass(frozen=True, slots=True)
class _Defaults:
    image: str
    model_format: str
    storage_root: str
    mem_fraction: float
    startup_seconds: int
    startup_seconds_multinode: int
    resources: dict[int, tuple[int, str]]


def read_plan(root: yaml.Node, file: str, phases: Sequence[PhaseRule]) -> Plan:
    """The plan in ``root``, each case with the phase the rules give it.

    Raises:
        ConfigError: every problem of the file.
    """
    reader = Reader(file)
    document = Mapping(reader, root)
    defaults = _read_defaults(document.mapping("defaults"))
    cases: list[Case] = []
    seen = _Unique()
    for index, row in enumerate(document.mappings("models"), start=1):
        case = _read_row(row, index, defaults, phases)
        seen.check(row, case)
        cases.append(case)
    if not cases and not reader.problems:
        document.report("models", "has no rows", "add a model")
    document.close()
    reader.close()
    return Plan(tuple(cases))


class _Unique:
    """Names that may occur only once in a plan, with the line of their first use."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], int] = {}

    def check(self, row: Mapping, case: Case) -> None:
        for field, value in (("name", case.id), ("resource_name", case.resource_name)):
            first = self._first.setdefault((field, value.lower()), row.line_of(field))
            if value and first != row.line_of(field):
                row.report(field, f"{value!r} is already used in line {first}", "give each row its own")


def _read_defaults(section: Mapping) -> _Defaults:
    resources: dict[int, tuple[int, str]] = {}
    table = section.mapping("resources")
    for gpus in table.names():
        if not re.fullmatch(r"[1-9]\d?", gpus):
            table.report(gpus, "is not a number of GPUs", "write 1, 2, 4 or 8")
            continue
        entry = table.mapping(gpus)
        resources[int(gpus)] = (
            entry.integer("cpu"),
            entry.text("memory", pattern=_GIB, form="a quantity such as 30Gi"),
        )
        entry.close()
    defaults = _Defaults(
        image=section.text("image"),
        model_format=section.text("model_format", "safetensors"),
        storage_root=section.text("storage_root", pattern=r"/.*[^/]", form="an absolute path"),
        mem_fraction=section.number("mem_fraction", 0.9, maximum=1),
        startup_seconds=section.integer("startup_seconds", 960),
        startup_seconds_multinode=section.integer("startup_seconds_multinode", 3300),
        resources=resources,
    )
    section.close()
    return defaults


def _read_row(row: Mapping, index: int, defaults: _Defaults, phases: Sequence[PhaseRule]) -> Case:
    gpus, open_ended = _read_gpus(row)
    vendor = row.text("vendor", pattern=r"[\w.-]+", form="a vendor's name")
    hub_id = row.text("hub_id", pattern=r"[\w.-]+/[\w.-]+", form="organisation/repository")
    resource_name = row.text("resource_name", pattern=LABEL, form="a DNS label (a-z, 0-9, -; at most 63 characters)")
    probe = row.text("probe", choices=[str(kind) for kind in ProbeKind])
    parameter_size = row.text("parameter_size", pattern=SIZE, form="a size such as 8.03B, 135M or 1T")
    weights_gb = row.number("weights_gb")
    case = Case(
        index=index,
        vendor=vendor,
        name=row.text("name", pattern=r"[\w.-]+", form="a model's name"),
        size=row.text("size"),
        type=row.text("type"),
        gpus=gpus,
        gpus_open_ended=open_ended,
        phase=phase_of(phases, vendor, gpus),
        hub_id=hub_id,
        resource_name=resource_name,
        runtime_name=f"srt-{resource_name}",
        probe=ProbeKind(probe) if probe in set(ProbeKind) else ProbeKind.CHAT,
        probe_input=row.text("probe_input", "text", choices=("text", "image+text")),
        has_chat_template=row.flag("chat_template", True),
        reasoning=row.flag("reasoning", False),
        gated=row.flag("gated", False),
        storage_path=row.text(
            "storage_path", f"{defaults.storage_root}/{hub_id}", pattern=r"/\S+", form="an absolute path"
        ),
        architecture=row.text("architecture", pattern=r"\w+", form="a class name"),
        framework_version=row.text("framework_version", pattern=_VERSION, form="a version such as 4.45.0.dev0"),
        preset_metadata=row.flag("preset_metadata", False),
        model_format=row.text("model_format", defaults.model_format),
        parameter_size=parameter_size,
        parameters=parameters(parameter_size),
        weights_bytes=round(weights_gb * 1e9),
        gpu_weights_bytes=round(row.number("gpu_weights_gb", weights_gb) * 1e9),
        quantization=row.text("quantization", "") or None,
        capabilities=row.texts("capabilities", ("TEXT_TO_TEXT",)),
        serving=_read_serving(row, gpus, parameter_size, defaults),
        notes=row.texts("notes"),
    )
    row.close()
    return case


def _read_gpus(row: Mapping) -> tuple[int, bool]:
    """GPUs as the plan writes them: ``4`` or ``32+``."""
    if row.is_text("gpus"):
        text = row.text("gpus", pattern=r"[1-9]\d{0,3}\+?", form="a number of GPUs such as 4 or 32+")
        gpus = int(text.rstrip("+")) if re.fullmatch(r"[1-9]\d{0,3}\+?", text) else 1
        open_ended = text.endswith("+")
    else:
        gpus, open_ended = row.integer("gpus"), False
    if gpus > _GPUS_PER_NODE and gpus % _GPUS_PER_NODE:
        row.report("gpus", f"{gpus} GPUs do not fill whole nodes of {_GPUS_PER_NODE}", "write a multiple of 8 above 8")
    return gpus, open_ended


def _read_serving(row: Mapping, gpus: int, parameter_size: str, defaults: _Defaults) -> Serving:
    nodes = -(-gpus // _GPUS_PER_NODE)
    per_node = min(gpus, _GPUS_PER_NODE)
    cpu, memory = defaults.resources.get(per_node, (None, None))
    low, high = _read_size_range(row, parameter_size)
    startup = defaults.startup_seconds if nodes == 1 else defaults.startup_seconds_multinode
    return Serving(
        image=row.text("image", defaults.image),
        gpus_per_node=per_node,
        nodes=nodes,
        cpu=row.integer("cpu", cpu),
        memory=row.text("memory", memory, pattern=_GIB, form="a quantity such as 30Gi"),
        mem_fraction=row.number("mem_fraction", defaults.mem_fraction, maximum=1),
        extra_args=tuple(word for entry in row.texts("extra_args") for word in entry.split()),
        size_min=low,
        size_max=high,
        startup_seconds=row.integer("startup_seconds", startup, minimum=66),
    )


def _read_size_range(row: Mapping, parameter_size: str) -> tuple[str, str]:
    bounds = row.texts("size_range")
    if row.void:
        return "0B", "0B"
    if len(bounds) != 2 or not all(re.fullmatch(SIZE, bound) for bound in bounds):
        row.report("size_range", "is missing or not two sizes", "write [smallest, largest], for example [6B, 10B]")
        return "0B", "0B"
    low, high = bounds
    if re.fullmatch(SIZE, parameter_size) and not parameters(low) <= parameters(parameter_size) <= parameters(high):
        row.report("size_range", f"{parameter_size} is outside {low} to {high}", "widen the range")
    return low, high
