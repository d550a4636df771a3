"""``python -m benchmarks.kills --count 200``: kills at random moments; exit status 1 when anything went wrong."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from pytest_modelrt import launcher

from .stress import ROOT, Stress


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="processes to kill (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the victims")
    parser.add_argument("--speed", type=float, default=120.0, help="cluster seconds per second (120)")
    parser.add_argument("--kubeconfig", type=Path, help="of a running simulated cluster; else an own one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelrt-kills-") as name:
        folder = Path(name)
        chance = random.Random(options.seed)
        if options.kubeconfig is not None:
            findings = Stress(options.kubeconfig.resolve(), folder, chance).run(options.count)
        else:
            with launcher.start(folder / "sim", speed=options.speed, config_dir=ROOT / "config") as process:
                findings = Stress(process.wait_ready(), folder, chance).run(options.count)
    print("\n".join(findings.lines()))
    return 0 if findings.fine else 1


if __name__ == "__main__":
    sys.exit(main())
