"""A project that merely has the plugin installed notices nothing of it."""

from __future__ import annotations

import pytest

HEAVY = ("kubernetes", "httpx", "yaml", "aiohttp", "jinja2")


def test_imports_nothing_and_says_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_a():
            ours = [name for name in sys.modules if name.startswith("pytest_modelrt")]
            assert sorted(ours) == [
                "pytest_modelrt", "pytest_modelrt.hookspecs", "pytest_modelrt.options", "pytest_modelrt.plugin"
            ]
            assert not [name for name in {HEAVY} if name in sys.modules]
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    said = [line for line in result.outlines if "modelrt" in line and not line.startswith(("plugins:", "rootdir:"))]
    assert said == []
    assert not list(pytester.path.glob("reports*"))


def test_leaves_fixtures_of_the_same_name_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def case():
            return 3

        def test_a(case):
            assert case == 3
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_leaves_fixtures_of_the_same_name_alone_when_active(campaign: pytest.Pytester) -> None:
    campaign.makepyfile(
        test_own="""
        import pytest

        @pytest.fixture(params=[1, 2])
        def case(request):
            return request.param

        def test_a(case):
            assert case in (1, 2)
        """
    )
    campaign.runpytest("test_own.py").assert_outcomes(passed=2)
    assert not (campaign.path / "pages").exists()


def test_can_be_switched_off(campaign: pytest.Pytester) -> None:
    campaign.makepyfile(test_own="def test_a():\n    pass\n")
    result = campaign.runpytest("-p", "no:modelrt", "test_own.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("modelrt: *")


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_a_run_without_cases_begins_nothing(campaign: pytest.Pytester, arguments: list[str]) -> None:
    campaign.makepyfile(test_own="def test_a():\n    pass\n")
    campaign.runpytest_subprocess("test_own.py", *arguments).assert_outcomes(passed=1)
    assert not (campaign.path / "pages").exists()
