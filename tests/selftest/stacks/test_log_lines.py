"""Which lines of a platform's log are about a case."""

from __future__ import annotations

import pytest

from pytest_modelrt.stacks.ome.evidence import lines_about

NAMES = ("qwen3-4b", "Qwen/Qwen3-4B")


@pytest.mark.parametrize(
    "line",
    [
        "model qwen3-4b failed",
        'key "clusterbasemodel.qwen3-4b" is Updating',
        '{"name":"qwen3-4b","namespace":"x"}',
        "Failed to download Qwen/Qwen3-4B: HTTP 403",
        "https://huggingface.co/Qwen/Qwen3-4B/resolve/main/config.json",
        "cannot create Deployment qwen3-4b-engine",
        "gave up on qwen3-4b.",
    ],
)
def test_lines_about_the_case(line: str) -> None:
    assert lines_about(f"before\n{line}\nafter", *NAMES) == line


@pytest.mark.parametrize(
    "line",
    [
        "model qwen3-4b-instruct failed",
        "Failed to download Qwen/Qwen3-4B-Instruct-2507: HTTP 403",
        "model my-qwen3-4b failed",
        "model qwen3-4b.5 failed",
        "model qwen3-4b2 failed",
    ],
)
def test_lines_about_a_namesake(line: str) -> None:
    assert lines_about(line, *NAMES) == ""
