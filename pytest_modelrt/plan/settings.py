"""``campaign.yaml`` as settings of a run. Pure."""

from __future__ import annotations

from dataclasses import fields

import yaml

from pytest_modelrt.plan.model import Campaign, Deadlines, Hardware, PhaseRule, Tier
from pytest_modelrt.plan.reader import Mapping, Reader

REPAIR_POLICIES = ("overlay", "write", "off")
_NAME = r"[a-z][a-z0-9]*"


def read_campaign(root: yaml.Node, file: str) -> Campaign:
    """The settings in ``root``.

    Raises:
        ConfigError: every problem of the file.
    """
    reader = Reader(file)
    document = Mapping(reader, root)
    default = Campaign(tiers=())
    hardware = _read_hardware(document.mapping("hardware"))
    campaign = Campaign(
        tiers=_read_tiers(document),
        gpu_budget=document.integer("gpu_budget", hardware.gpus),
        gpus_per_test=document.integer("gpus_per_test", default.gpus_per_test),
        nodes_wanted=document.integer("nodes_wanted", default.nodes_wanted),
        nodes_minimum=document.integer("nodes_minimum", default.nodes_minimum),
        download_nodes=document.integer("download_nodes", minimum=0) if document.has("download_nodes") else None,
        hardware=hardware,
        deadlines=_read_deadlines(document.mapping("deadlines")),
        reports=document.text("reports", default.reports),
        repair=document.text("repair", default.repair, choices=REPAIR_POLICIES),
        phases=_read_phases(document),
    )
    if campaign.nodes_minimum > campaign.nodes_wanted:
        document.report("nodes_minimum", "is more than nodes_wanted", f"write {campaign.nodes_wanted} or less")
    if campaign.gpus_per_test > campaign.gpu_budget:
        document.report("gpus_per_test", "is more than gpu_budget", f"write {campaign.gpu_budget} or less")
    document.close()
    reader.close()
    return campaign


def _read_hardware(section: Mapping) -> Hardware:
    default = Hardware()
    hardware = Hardware(
        nodes=section.integer("nodes", default.nodes),
        gpus_per_node=section.integer("gpus_per_node", default.gpus_per_node),
        gpu_memory_bytes=round(section.number("gpu_memory_gb", default.gpu_memory_bytes / 1e9) * 1e9),
        description=section.text("description", "GPU"),
    )
    section.close()
    return hardware


def _read_tiers(document: Mapping) -> tuple[Tier, ...]:
    found: list[tuple[str, int, int]] = []
    for row in document.mappings("tiers"):
        name = row.text("name", pattern=_NAME, form="a short lower-case name")
        minimum, limit = row.integer("min_gpus"), row.integer("limit")
        if any(name == other for other, _, _ in found):
            row.report("name", f"{name!r} is already a tier", "give each tier its own name")
        floor = found[-1][1] if found else 0
        if minimum <= floor or (not found and minimum != 1):
            what = f"{minimum} does not follow {floor}"
            row.report("min_gpus", what, "start the tiers at 1 and list them in rising order")
        found.append((name, minimum, limit))
        row.close()
    starts = [minimum for _, minimum, _ in found]
    ends = [start - 1 for start in starts[1:]]
    return tuple(
        Tier(name, minimum, end, limit) for (name, minimum, limit), end in zip(found, [*ends, None], strict=False)
    )


def _read_phases(document: Mapping) -> tuple[PhaseRule, ...]:
    rules = []
    for row in document.mappings("phases"):
        rules.append(
            PhaseRule(
                phase=row.integer("phase"),
                vendors=row.texts("vendors"),
                min_gpus=row.integer("min_gpus", 1),
                max_gpus=row.integer("max_gpus") if row.has("max_gpus") else None,
            )
        )
        row.close()
    if rules and not any(not rule.vendors and rule.min_gpus == 1 and rule.max_gpus is None for rule in rules):
        document.report("phases", "some cases have no phase", "end the list with a rule without conditions")
    return tuple(rules)


def _read_deadlines(section: Mapping) -> Deadlines:
    default = Deadlines()
    values = {field.name: section.integer(field.name, getattr(default, field.name)) for field in fields(Deadlines)}
    section.close()
    return Deadlines(**values)
