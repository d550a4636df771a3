"""``modelrt scaffold``: write the manifests of plan rows into a config tree, or prove that they are there."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelrt.plan.model import Case

USAGE = 4


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "scaffold",
        help="write the manifests of a plan row",
        description="Write model, runtime and InferenceService of plan rows. A file that differs is left alone.",
    )
    parser.add_argument("models", nargs="*", metavar="vendor/name", help="rows of the plan")
    parser.add_argument("--all", action="store_true", help="every row of the plan")
    parser.add_argument("--config", type=Path, default=Path("config"), metavar="DIR", help="config tree (config)")
    parser.add_argument("--force", action="store_true", help="overwrite files that differ")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is missing or differs")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Write or check; 0 fine, 1 files differ, 4 usage."""
    from pytest_modelrt.plan.load import load_plan
    from pytest_modelrt.plan.problems import ConfigError

    if bool(arguments.models) == arguments.all:
        return _usage("name rows of the plan as vendor/name, or say --all")
    try:
        cases = load_plan(arguments.config).cases
    except ConfigError as error:
        return _usage(str(error))
    if not arguments.all:
        chosen = [_choose(cases, wanted) for wanted in arguments.models]
        unknown = [
            f"no row {wanted!r} in the plan{_similar(cases, wanted)}"
            for wanted, case in zip(arguments.models, chosen, strict=True)
            if case is None
        ]
        if unknown:
            return _usage("\n".join(unknown))
        cases = tuple(case for case in chosen if case is not None)
    try:
        return _write(cases, arguments.config, force=arguments.force, check=arguments.check)
    except OSError as error:
        return _usage(f"{error.filename}: {error.strerror}")


def _write(cases: Sequence[Case], config: Path, *, force: bool, check: bool) -> int:
    written = same = 0
    refused: list[str] = []
    for path, text in _files(cases, config):
        old = path.read_bytes() if path.exists() else None
        new = text.encode()
        if old == new:
            same += 1
        elif check:
            refused.append(f"{path}: {'is missing' if old is None else 'differs from the plan row'}")
        elif old is not None and not force:
            refused.append(f"{path}: differs from the plan row; left alone, --force overwrites it")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new)
            written += 1
    for line in refused:
        print(line)
    print(f"{written} written, {same} unchanged, {len(refused)} {'wrong' if check else 'left alone'}")
    return 1 if refused else 0


def _files(cases: Sequence[Case], config: Path) -> Iterator[tuple[Path, str]]:
    from pytest_modelrt.manifests.scaffold import render_all

    for case in cases:
        for path, text in render_all(case).items():
            yield config / path, text


def _choose(cases: Sequence[Case], wanted: str) -> Case | None:
    exact = [case for case in cases if wanted in (case.id, case.resource_name)]
    return exact[0] if exact else None


def _similar(cases: Sequence[Case], wanted: str) -> str:
    close = difflib.get_close_matches(wanted, [case.id for case in cases], n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _usage(message: str) -> int:
    print(message, file=sys.stderr)
    return USAGE
