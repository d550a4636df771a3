"""``modelrt sweep``: delete what runs left behind, by run, by expiry, or all of it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelrt.clock import utc_now

if TYPE_CHECKING:
    from pytest_modelrt.cluster.cluster import Cluster
    from pytest_modelrt.cluster.sweep import Found, Swept, Wanted

CLEAN, LEFTOVERS, USAGE = 0, 1, 4


def register(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("sweep", help="delete what runs left in a cluster", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run-id", metavar="ID", help="objects of this run")
    which.add_argument("--expired", action="store_true", help="objects of any run whose expiry has passed")
    which.add_argument("--all-runs", action="store_true", help="objects of every run, also of one that is going on")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="the cluster (else the KUBECONFIG variable)")
    parser.add_argument("--context", metavar="NAME", help="context in the kubeconfig (else the current one)")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting on a real cluster")
    parser.add_argument(
        "--strip-finalizers",
        action="store_true",
        help="last resort: remove the finalizers of what does not go; whatever they guard is left behind",
    )
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="per kind of object (300)")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Sweep; 0 nothing of ours is left, 1 something is, 4 the command or the kubeconfig is wrong."""
    from pytest_modelrt.cluster.cluster import Cluster, ClusterTarget
    from pytest_modelrt.cluster.kubeconfig import is_named
    from pytest_modelrt.cluster.model import ApiError, ApiUnavailable, ClusterError
    from pytest_modelrt.cluster.sweep import Wanted

    if not (arguments.run_id or arguments.expired or arguments.all_runs):
        return _usage("say what to delete: --run-id ID, --expired or --all-runs")
    target = ClusterTarget(arguments.kubeconfig, arguments.context)
    if not is_named(target):
        return _usage("no cluster named; use --kubeconfig, --context or the KUBECONFIG variable")
    wanted = Wanted(run_id=arguments.run_id, expired_at=utc_now() if arguments.expired else None)
    try:
        cluster = Cluster.connect(target)
    except (ApiError, ApiUnavailable) as error:
        print(f"modelrt sweep: {error}", file=sys.stderr)
        return LEFTOVERS
    except ClusterError as error:
        return _usage(str(error))
    try:
        return _sweep(cluster, wanted, arguments)
    except ClusterError as error:
        print(f"modelrt sweep: {error}", file=sys.stderr)
        return LEFTOVERS
    finally:
        cluster.close()


def _sweep(cluster: Cluster, wanted: Wanted, arguments: argparse.Namespace) -> int:
    from pytest_modelrt.cluster.sweep import find, sweep

    kind = "simulated" if cluster.info.simulated else "a real cluster"
    print(f"cluster: {cluster.info.server} (context {cluster.info.context}, {cluster.info.version}, {kind})")
    unseen: list[str] = []
    found = find(cluster, wanted, unseen)
    _list(found, dry_run=arguments.dry_run)
    if arguments.dry_run or not found:
        for line in unseen:
            print(f"not seen: {line}")
        return LEFTOVERS if found or unseen else CLEAN
    if not (arguments.yes or cluster.info.simulated or _confirmed(len(found))):
        return _usage("nothing deleted: confirm with --yes")
    swept = sweep(cluster, wanted, patience=arguments.timeout, strip_finalizers=arguments.strip_finalizers, tell=_say)
    return _report(swept)


def _list(found: list[Found], *, dry_run: bool) -> None:
    if not found:
        print("nothing of ours is there")
        return
    kinds = Counter(item.ref.resource.kind for item in found)
    runs = sorted({item.run_id for item in found})
    print(f"found: {', '.join(f'{count} {kind}' for kind, count in kinds.items())} of {', '.join(runs)}")
    if dry_run:
        for item in found:
            print(f"would delete {item.ref} (run {item.run_id})")


def _report(swept: Swept) -> int:
    for leftover in swept.leftovers:
        print(f"still there: {leftover.ref}: {leftover.why}\n    {leftover.command}")
    for line in swept.unseen:
        print(f"not seen: {line}")
    print(f"deleted {len(swept.deleted)}, left {len(swept.leftovers)}")
    return LEFTOVERS if swept.leftovers or swept.unseen else CLEAN


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"delete {count} objects? [y/N] ").strip().lower() in ("y", "yes")


def _say(line: str) -> None:
    print(line, flush=True)


def _usage(message: str) -> int:
    print(f"modelrt sweep: {message}", file=sys.stderr)
    return USAGE
