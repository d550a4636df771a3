"""``modelrt sim peaks``: the most GPUs ever held at once, per tier, as the simulated nodes saw it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add ``peaks`` to the actions of ``modelrt sim``."""
    parser = actions.add_parser(
        "peaks",
        help="the most that was held at once per tier, against its limit",
        description="What the nodes' own ledger says, not the scheduler of a run. Exit code 1: a limit was exceeded.",
    )
    parser.add_argument("--config", type=Path, default=Path("config"), help="config tree with the tiers")
    parser.set_defaults(handler=_peaks)
    return parser


def _peaks(arguments: argparse.Namespace) -> int:
    from pytest_modelrt.plan.load import load_campaign
    from pytest_modelrt.plan.problems import ConfigError
    from pytest_modelrt.simulator.nodes.ledger import FILE, peak_by_tier

    try:
        campaign = load_campaign(arguments.config)
        peaks = peak_by_tier(arguments.directory / FILE, campaign.tiers)
    except (ConfigError, OSError) as error:
        print(f"modelrt sim peaks: {error}", file=sys.stderr)
        return 2
    exceeded = peaks["total"].gpus > campaign.gpu_budget
    for tier in campaign.tiers:
        peak = peaks[tier.name]
        exceeded |= peak.cases > tier.limit
        print(f"{tier.name:6}  {peak.cases:3} cases of {tier.limit:3}  {peak.gpus:4} GPUs")
    print(f"total   {peaks['total'].cases:3} cases         {peaks['total'].gpus:4} GPUs of {campaign.gpu_budget}")
    if exceeded:
        print("a limit was exceeded", file=sys.stderr)
    return int(exceeded)
