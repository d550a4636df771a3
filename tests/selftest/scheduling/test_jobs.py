from __future__ import annotations

import pytest

from pytest_modelrt.scheduling.jobs import case_of, make_jobs
from tests.selftest.scheduling.build import case

CASES = {one.id: one for one in (case("meta", "Llama-3-8B"), case("meta", "Llama-3-8B-Instruct"), case("ai", "x_1", 8))}


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/models/test_a.py::test_model[meta/Llama-3-8B]", "meta/Llama-3-8B"),
        ("t.py::test[meta/Llama-3-8B-Instruct]", "meta/Llama-3-8B-Instruct"),
        ("t.py::test[meta/Llama-3-8B-Instruct-fast]", "meta/Llama-3-8B-Instruct"),
        ("t.py::test[meta/Llama-3-8B-fast-2]", "meta/Llama-3-8B"),
        ("t.py::test[fast-2-meta/Llama-3-8B]", "meta/Llama-3-8B"),
        ("t.py::Class::test[ai/x_1]@group", "ai/x_1"),
        ("a[b]/t.py::test[ai/x_1]", "ai/x_1"),
        ("t.py::test[meta/other]", None),
        ("t.py::test[plain]", None),
        ("meta/Llama-3-8B.py::test", None),
    ],
)
def test_case_of_a_node_id(nodeid: str, expected: str | None) -> None:
    found = case_of(nodeid, CASES)
    assert (found.id if found else None) == expected


def test_tests_of_a_case_in_one_file_form_a_job() -> None:
    nodeids = ["a.py::t[ai/x_1]", "a.py::plain", "b.py::t[ai/x_1]", "a.py::u[ai/x_1]"]

    jobs = make_jobs(nodeids, CASES, {"ai/x_1": 77.0}, {}, 4)

    assert [job.tests for job in jobs] == [
        ("a.py::t[ai/x_1]", "a.py::u[ai/x_1]"),
        ("a.py::plain",),
        ("b.py::t[ai/x_1]",),
    ]
    assert jobs[0].key == jobs[2].key == "ai/x_1"
    assert (jobs[0].gpus, jobs[0].seconds) == (8, 77.0)


def test_marker_outranks_the_plan() -> None:
    jobs = make_jobs(["a.py::t[ai/x_1]", "a.py::big"], CASES, {}, {"a.py::t[ai/x_1]": 2, "a.py::big": 4}, 1)
    assert [job.gpus for job in jobs] == [2, 4]


def test_plain_tests_are_shared_out_in_neighbours() -> None:
    jobs = make_jobs([f"a.py::t{number}" for number in range(7)], {}, {}, {}, 3)
    assert [len(job.tests) for job in jobs] == [3, 3, 1]
