"""``python -m benchmarks.kills --count 200``: kills at random moments; exit status 1 when anything went wrong."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from pytest_modelrt import launcher

from .stress import ROOT, Findings, Stress


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="processes to kill (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the victims")
    parser.add_argument("--speed", type=float, default=120.0, help="cluster seconds per second (120)")
    parser.add_argument("--kubeconfig", type=Path, help="of a running simulated cluster; else an own one")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="modelrt-kills-"))
    chance = random.Random(options.seed)
    findings = Findings()
    try:
        if options.kubeconfig is not None:
            Stress(options.kubeconfig.resolve(), folder, chance).run(options.count, findings, _tell)
        else:
            with launcher.start(folder / "sim", speed=options.speed, config_dir=ROOT / "config") as process:
                Stress(process.wait_ready(), folder, chance).run(options.count, findings, _tell)
    finally:
        print("\n".join(findings.lines()), flush=True)
    if not findings.fine:
        print(f"journals and logs stay in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
