"""The ``modelrt`` command: one module per subcommand, each with ``register(subparsers)`` and a handler."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pytest_modelrt.redaction import register_secrets_in

SUBCOMMANDS = ("sim", "check", "scaffold", "sweep", "report", "watch", "history", "compare")
"""Modules of this package; each registers itself and is imported only to build its own parser."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``modelrt``; returns the exit code (0 fine, 1 findings, 4 usage)."""
    parser = argparse.ArgumentParser(
        prog="modelrt", description="Around a campaign of model tests: the tests themselves run with pytest."
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name in SUBCOMMANDS:
        import_module(f"{__name__}.{name}").register(subparsers)
    arguments = parser.parse_args(argv)
    register_secrets_in(dict(os.environ))
    handler = arguments.handler
    return int(handler(arguments))


if __name__ == "__main__":
    sys.exit(main())
