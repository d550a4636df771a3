"""The parts of the model agent that decide: what is a task, who is refused, what is parsed, how far a transfer is."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import Any

import pytest

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.simulator.controllers.agent.download import Download, DownloadError, refusal
from pytest_modelrt.simulator.controllers.agent.metadata import ParseError, read_config, spec_changes
from pytest_modelrt.simulator.controllers.agent.scout import Scout
from pytest_modelrt.simulator.controllers.profile import CURRENT, PROFILES
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.scenario import DownloadScript, HubRule

REPO = Hub().repo("Qwen/Qwen3-8B")
NODE = {"metadata": {"name": "gpu-node-01", "labels": {"zone": "a"}}}


def model(**storage: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "m", "uid": "1"},
        "spec": {"storage": {"storageUri": "hf://a/b", "path": "/raid/models/m", **storage}},
    }


def scout(profile: str = "v0.1.5") -> Scout:
    return Scout(PROFILES[profile], lambda: NODE)


def test_new_model_is_downloaded_where_selected() -> None:
    assert list(scout().tasks("ADDED", model(nodeSelector={"zone": "a"}), None)) == ["Download"]
    assert list(scout().tasks("ADDED", model(nodeSelector={"zone": "b"}), None)) == []


def test_every_agent_deletes_twice() -> None:
    old = model(nodeSelector={"zone": "b"})
    going = copy.deepcopy(old)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert list(scout().tasks("MODIFIED", going, old)) == ["Delete"]
    assert list(scout().tasks("MODIFIED", going, going)) == []
    assert list(scout().tasks("DELETED", going, going)) == ["Delete"]


@pytest.mark.parametrize(("profile", "expected"), [("v0.1.5", []), ("v0.1.4", ["Download"]), ("interim", ["Download"])])
def test_added_key_downloads_again_on_older_releases_only(profile: str, expected: list[str]) -> None:
    assert list(scout(profile).tasks("MODIFIED", model(key="hf-token"), model())) == expected


def test_changed_policy_downloads_again() -> None:
    assert list(scout().tasks("MODIFIED", model(downloadPolicy="ReuseIfExists"), model())) == ["Download"]
    assert list(scout().tasks("MODIFIED", model(downloadPolicy="AlwaysDownload"), model())) == []


def test_node_no_longer_selected_deletes() -> None:
    moved = model(nodeSelector={"zone": "b"})
    assert list(scout().tasks("MODIFIED", moved, model(nodeSelector={"zone": "a"}))) == ["Delete"]


@pytest.mark.parametrize(
    ("repo", "rule", "token", "expected"),
    [
        (REPO, HubRule(), False, None),
        (replace(REPO, gated=True), HubRule(), True, None),
        (replace(REPO, gated=True), HubRule(), False, "head request failed after 4 attempts: HTTP 401 Unauthorized"),
        (
            replace(REPO, gated=True),
            HubRule(licence_accepted=False),
            True,
            "head request failed after 4 attempts: HTTP 403 Forbidden",
        ),
        (replace(REPO, exists=False), HubRule(), True, "list files failed after 4 attempts: HTTP 404 Not Found"),
        (replace(REPO, exists=False), HubRule(), False, "list files failed after 4 attempts: HTTP 401 Unauthorized"),
        (
            REPO,
            HubRule(rate_limited_seconds=60),
            False,
            "head request failed after 4 attempts: HTTP 429 Too Many Requests",
        ),
    ],
)
def test_refusals(repo: Any, rule: HubRule, token: bool, expected: str | None) -> None:
    found = refusal(repo, rule, token=token, cluster_age=30)
    assert found == (expected and f"xet error 99: {expected}")


def test_parsed_configuration_fills_only_what_is_missing() -> None:
    config = read_config(REPO, "/raid/models/q", CURRENT)
    changes = spec_changes({"modelArchitecture": "Preset", "modelFormat": {"name": "", "operator": "Equal"}}, config)
    assert "modelArchitecture" not in changes
    assert changes["modelFormat"] == {"name": "safetensors", "version": "1.0.0"}
    assert changes["modelConfiguration"]["model_type"] == REPO.model_type
    assert "maxTokens" not in changes
    assert spec_changes({**changes, "modelArchitecture": "Preset"}, config) == {}


def test_unknown_type_is_parsed_since_the_generic_parser() -> None:
    odd = replace(REPO, model_type="starcoder2")
    assert read_config(odd, "/p", CURRENT)["modelType"] == "starcoder2"
    with pytest.raises(ParseError, match="unsupported model type 'starcoder2'"):
        read_config(odd, "/p", PROFILES["v0.1.4"])


def script(**changes: Any) -> DownloadScript:
    return replace(DownloadScript(cached=False, seconds=100.0, total_bytes=1000, files=10), **changes)


def test_transfer_ends_after_its_time() -> None:
    assert asyncio.run(Download(script(), ScaledClock(100_000)).run()) is True


def test_failing_transfer_says_why() -> None:
    async def main() -> None:
        await Download(script(error="download request failed after 4 attempts: HTTP 503"), ScaledClock(100_000)).run()

    with pytest.raises(DownloadError, match=r"^xet error 99: download request failed"):
        asyncio.run(main())


class HandClock(ScaledClock):
    """A clock that a test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_stuck_transfer_freezes_its_report_and_ends_by_cancelling() -> None:
    async def main() -> None:
        clock = HandClock()
        download = Download(script(stuck_after=0.25), clock)
        clock.now = 10.0
        assert download.progress()["completedBytes"] == 100
        clock.now = 50.0
        last = download.progress()
        assert (last["completedBytes"], last["speedBytesPerSec"]) == (250, 3.8)
        clock.now = 90.0
        assert download.progress() is last
        download.cancelled.set()
        assert await download.run() is False

    asyncio.run(main())
