"""How engines start, and how they fail to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.simulator.nodes.disk import Directory
from pytest_modelrt.simulator.nodes.engines.sglang import engine
from pytest_modelrt.simulator.nodes.network import Network
from tests.selftest.simulator.nodes.lab import case_named, engine_container, running, scenario_of, served

MILESTONES = [
    "server_args=",
    "Load weight begin",
    "Load weight end",
    "KV Cache is allocated",
    "Memory pool end",
    "Capture cuda graph begin",
    "max_total_num_tokens=",
    "Application startup complete",
    "Start of co-locate warmup",
    "The server is fired up and ready to roll!",
]
NO_CONFIG = "does not appear to have a file named config.json"
CASE = case_named("qwen3-8b")


def start(
    *args: str, directory: Directory | None = None, scenario: Any = None, resources: dict[str, Any] | None = None
) -> tuple[int, str, str]:
    """Exit code, log and terminated reason of an engine that fails to start."""

    async def main() -> tuple[int, str, str]:
        container = engine_container(CASE)
        container["args"] = [*container["args"], *args]
        if resources is not None:
            container["resources"] = resources
        async with running(
            engine, container, model=CASE.resource_name, scenario=scenario, directory=directory, path=CASE.storage_path
        ) as one:
            code = await one.exit_code()
            return code, one.log, one.context.terminated_reason

    return asyncio.run(main())


WHOLE = Directory(CASE.hub_id, complete=True)


def test_milestones_come_in_the_order_of_a_real_start() -> None:
    async def main() -> str:
        async with served(CASE) as one:
            return one.log

    text = asyncio.run(main())
    places = [text.index(milestone) for milestone in MILESTONES]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("directory", "exit_code", "words"),
    [
        (None, 1, "does not appear to have a file named config.json"),
        (
            Directory(CASE.hub_id, complete=True, has_config=False),
            1,
            "does not appear to have a file named config.json",
        ),
        (Directory(CASE.hub_id), 0, "Cannot find any model weights"),
        (Directory(CASE.hub_id, complete=True, corrupt=True), 0, "SafetensorError"),
    ],
)
def test_missing_or_broken_files_end_the_start(directory: Directory | None, exit_code: int, words: str) -> None:
    code, text, _ = start(directory=directory)
    assert (code, words in text) == (exit_code, True)
    assert "Load weight end" not in text


@pytest.mark.parametrize(
    ("args", "exit_code", "words"),
    [
        (("--tp-size", "4"), 0, "invalid device ordinal"),
        (("--mem-fraction-static", "0.1"), 0, "Please try to increase --mem-fraction-static"),
        (("--chat-template", "{{ messages }}"), 1, "is not a built-in template name"),
    ],
)
def test_wrong_arguments_end_the_start(args: tuple[str, ...], exit_code: int, words: str) -> None:
    code, text, _ = start(*args, directory=WHOLE)
    assert (code, words in text) == (exit_code, True), text


def test_weights_larger_than_the_gpus_run_out_of_memory() -> None:
    code, text, _ = start(directory=Directory("meta-llama/Llama-3.1-70B-Instruct", complete=True))
    assert code == 0  # the engine kills its own tree; as process 1 it then ends with 0
    assert "torch.OutOfMemoryError: CUDA out of memory" in text
    assert "Load weight begin" in text


def test_a_scenario_decides_words_code_reason_and_number_of_crashes(tmp_path: Path) -> None:
    scenario = scenario_of(
        """
        models:
        - match: qwen3-*
          startup:
            crash:
              at: load_begin
              log: "ModuleNotFoundError: No module named 'vllm'"
              exit_code: 137
              times: 1
              reason: OOMKilled
        """,
        tmp_path,
    )
    code, text, reason = start(directory=WHOLE, scenario=scenario)
    assert (code, reason) == (137, "OOMKilled")
    assert "No module named 'vllm'" in text

    async def second() -> None:
        async with running(
            engine,
            engine_container(CASE),
            model=CASE.resource_name,
            scenario=scenario,
            directory=WHOLE,
            path=CASE.storage_path,
            start=2,
        ) as one:
            await one.said("fired up")

    asyncio.run(second())


@pytest.mark.parametrize("args", [(), ("--attention-backend", "triton")])
def test_trouble_can_depend_on_an_argument(tmp_path: Path, args: tuple[str, ...]) -> None:
    scenario = scenario_of(
        'models: [{match: "*", startup: {hang: warmup, unless_args: [--attention-backend triton]}}]', tmp_path
    )

    async def main() -> bool:
        container = engine_container(CASE)
        container["args"] = [*container["args"], *args]
        async with running(engine, container, scenario=scenario, directory=WHOLE, path=CASE.storage_path) as one:
            await one.said("Start of co-locate warmup")
            async with one.client() as client:
                if args:
                    await one.said("fired up")
                return (await client.get("/health_generate")).status_code == 200

    assert asyncio.run(main()) is bool(args)


def test_a_dead_engine_may_go_on_listening(tmp_path: Path) -> None:
    scenario = scenario_of(
        'models: [{match: "*", startup: {crash: {at: warmup, log: "Scheduler hit an exception: x", listening: true}}}]',
        tmp_path,
    )

    async def main() -> tuple[bool, int]:
        async with running(
            engine, engine_container(CASE), scenario=scenario, directory=WHOLE, path=CASE.storage_path
        ) as one:
            await one.said("Received sigquit")
            async with one.client() as client:
                return one.task.done(), (await client.get("/health")).status_code

    assert asyncio.run(main()) == (False, 503)


def test_ranks_of_a_group_wait_for_each_other() -> None:
    case = case_named("deepseek-v3")

    async def main() -> tuple[bool, str]:
        network = Network()
        container = engine_container(case)
        files: dict[str, Any] = {"directory": Directory(case.hub_id, complete=True), "path": case.storage_path}
        async with running(engine, container, network=network, **files) as leader:
            await leader.said("waiting for")
            alone = "Load weight end" in leader.log
        async with served(case) as complete:
            return alone, complete.log

    alone, text = asyncio.run(main())
    assert not alone
    assert "fired up" in text
