"""``python -m benchmarks.causes [scenario ...]``: tries every scenario with an expectation, prints a Markdown table."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from .attempts import Attempt, attempt
from .trials import clusters

HEAD = ("scenario", "cause given", "outcome", "cluster seconds from first signal to verdict", "as expected")


def main() -> int:
    """Run and print; 1 when a cause is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.causes", description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="only these (default: all)")
    parser.add_argument("--workers", type=int, default=10, help="of the cluster that most scenarios share")
    parser.add_argument("--clusters", type=int, default=4, help="simulated clusters at once")
    parser.add_argument(
        "--limit", type=float, default=180.0, help="real seconds a cluster may take; more on a busy machine"
    )
    parser.add_argument("--verbose", action="store_true", help="show what pytest wrote where a cause is wrong")
    words = parser.parse_args()
    started = time.monotonic()
    with ThreadPoolExecutor(words.clusters) as pool:
        tried = pool.map(lambda cluster: attempt(cluster, words.workers), clusters(words.scenarios, words.limit))
        attempts = sorted(map(_told, chain.from_iterable(tried)), key=lambda one: one.trial.scenario)
    print(table(attempts))
    right = sum(one.right for one in attempts)
    print(f"\n{right} of {len(attempts)} as expected, {time.monotonic() - started:.0f} s")
    if words.verbose:
        for one in attempts:
            if not one.right:
                print(f"\n--- {one.trial.scenario} ({one.trial.case.id})\n{_why(one)}")
    return 0 if right == len(attempts) else 1


def table(attempts: Iterable[Attempt]) -> str:
    """Markdown."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(_row(one) for one in attempts)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _told(one: Attempt) -> Attempt:
    """Say it at once, on the side: the table comes at the end."""
    print(" | ".join(_row(one)), file=sys.stderr, flush=True)
    return one


def _why(one: Attempt) -> str:
    """What the verdict rests on; what pytest wrote where there is none."""
    if one.verdict is None:
        return one.output[-2000:]
    lines = [f"{line.source}: {line.text}"[:300] for line in one.verdict.evidence]
    return "\n".join([f"{one.verdict.stage}: {one.verdict.summary}", *lines, *one.verdict.warnings])


def _row(one: Attempt) -> tuple[str, ...]:
    verdict, expect = one.verdict, one.trial.expect
    if verdict is None:
        given, outcome = "no verdict", ""
    else:
        warned = [text.partition(":")[0] for text in verdict.warnings]
        given = verdict.cause or ", ".join(sorted({f"warning {text}" for text in warned if " " not in text})) or "none"
        outcome = verdict.outcome.value
    wanted = expect.cause or (f"warning {expect.warning}" if expect.warning else "none")
    seconds = "" if one.seconds is None else f"{one.seconds:.0f}"
    return (one.trial.scenario, given, outcome, seconds, "yes" if one.right else f"no: {wanted}, {expect.outcome}")


if __name__ == "__main__":
    sys.exit(main())
