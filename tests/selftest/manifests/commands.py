"""Runs a subcommand the way the command line does."""

import argparse
from types import ModuleType


def run(module: ModuleType, *words: str) -> int:
    parser = argparse.ArgumentParser()
    module.register(parser.add_subparsers())
    arguments = parser.parse_args(words)
    return int(arguments.handler(arguments))
