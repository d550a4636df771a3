from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.prefetch import Disk, DownloadTime, Room, download_time, next_downloads
from tests.selftest.scheduling.build import case

UPCOMING = [case("a", f"m{number}", gigabytes=10.0 * (number + 1)) for number in range(5)]
EMPTY = Disk({})


def names(cases: list[Case]) -> list[str]:
    return [one.name for one in cases]


def ask(disk: Disk = EMPTY, room: Room = Room(4), token: bool = True, paused: bool = False) -> list[str]:  # noqa: B008
    return names(next_downloads(UPCOMING, disk, room, token=token, paused=paused))


def test_first_things_first_up_to_the_agents_workers() -> None:
    assert ask() == ["m0", "m1"]
    assert ask(Disk({"a/m0": 10**10}, frozenset({"a/m0"}))) == ["m1"]
    assert ask(Disk({"a/m0": 10**10, "x/y": 1}, frozenset({"a/m0", "x/y"}))) == []
    assert ask(Disk({"a/m0": 10**10, "a/m1": 10**10})) == ["m2", "m3"]


def test_window_bounds_the_look_ahead() -> None:
    assert ask(room=Room(0)) == []
    assert ask(Disk({"a/m0": 1, "a/m1": 1}), Room(2, downloads=9)) == []
    assert ask(room=Room(3, downloads=9)) == ["m0", "m1", "m2"]


def test_nothing_overtakes_a_model_that_has_no_room_on_disk() -> None:
    assert ask(Disk({"a/m0": 10 * 10**9}), Room(5, downloads=9, disk_bytes=65 * 10**9)) == ["m1", "m2"]
    assert ask(Disk({"x/other": 60 * 10**9}), Room(5, downloads=9, disk_bytes=65 * 10**9)) == []


def test_agents_of_other_nodes_go_on_while_those_of_one_are_busy() -> None:
    placed = {"a/m0": ["n1", "n2"], "a/m1": ["n2", "n3"], "a/m2": ["n3", "n4"], "a/m3": ["n4", "n5"], "a/m4": ["n6"]}
    busy = Disk({"x/y": 1}, frozenset({"x/y"}), {**placed, "x/y": ["n1"]})
    # m0 waits for n1, so m1 may not take n2 before it, nor m2 n3 before m1; m3 and m4 are in nobody's way
    assert ask(busy, Room(5, downloads=1)) == ["m4"]
    assert ask(Disk({}, placed=placed), Room(5, downloads=1)) == ["m0", "m4"]


def test_disk_is_counted_per_node() -> None:
    placed = {"a/m0": ["n1"], "a/m1": ["n2"], "x/y": ["n1"]}
    full = Disk({"x/y": 60 * 10**9}, placed=placed)
    assert ask(full, Room(2, downloads=9, disk_bytes=65 * 10**9)) == ["m1"]


def test_gated_models_need_a_token() -> None:
    gated = [replace(UPCOMING[0], gated=True), UPCOMING[1]]
    assert names(next_downloads(gated, EMPTY, Room(2), token=False, paused=False)) == ["m1"]
    assert names(next_downloads(gated, EMPTY, Room(2), token=True, paused=False)) == ["m0", "m1"]


def test_open_breaker_stops_downloads() -> None:
    assert ask(paused=True) == []


@pytest.mark.parametrize(
    ("applied", "complete", "started", "waited", "hidden"),
    [(0, 100, 0, 100, 0), (0, 100, 60, 40, 60), (0, 100, 150, 0, 100), (50, 100, 20, 50, 0)],
)
def test_download_time_is_waited_or_hidden(
    applied: float, complete: float, started: float, waited: float, hidden: float
) -> None:
    assert download_time(applied, complete, started) == DownloadTime(waited, hidden)
