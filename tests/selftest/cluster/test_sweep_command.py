from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pytest_modelrt.cli import sweep

from .scripted import Answer, Asked, Cut, Script, Stream, kubeconfig, listing, serving, status


def modelrt_sweep(*words: str) -> int:
    parser = argparse.ArgumentParser()
    sweep.register(parser.add_subparsers())
    arguments = parser.parse_args(["sweep", *words])
    return int(arguments.handler(arguments))


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def namespace(name: str, run: str = "r-1") -> dict[str, object]:
    labels = {"app.kubernetes.io/managed-by": "pytest-modelrt", "modelrt.io/run-id": run}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": f"u-{name}", "labels": labels}}


def leftovers(*names: str) -> Script:
    """A cluster that serves nothing but namespaces."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/v1/namespaces":
            return listing(*(namespace(name) for name in names))
        if asked.path == "/apis":
            return Answer(body={"groups": []})
        return Answer(404, "404 page not found\n")

    return answer


def test_says_what_is_missing_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert modelrt_sweep() == 4
    assert "--run-id ID, --expired or --all-runs" in capsys.readouterr().err
    assert modelrt_sweep("--all-runs") == 4
    assert "no cluster named; use --kubeconfig" in capsys.readouterr().err
    assert modelrt_sweep("--all-runs", "--kubeconfig", str(tmp_path / "absent")) == 4
    assert "absent not found" in capsys.readouterr().err


def test_a_real_cluster_is_named_first_and_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(leftovers("llama")) as api:
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        assert modelrt_sweep("--run-id", "r-1", "--kubeconfig", str(path)) == 4
        assert {asked.method for asked in api.asked} == {"GET"}
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first == f"cluster: http://127.0.0.1:{api.port} (context test, v1.36.0, a real cluster)"
    assert second == "found: 1 Namespace of r-1"
    assert "nothing deleted: confirm with --yes" in err


def test_dry_run_lists_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(leftovers("llama", "qwen")) as api:
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        assert modelrt_sweep("--all-runs", "--dry-run", "--kubeconfig", str(path)) == 1
        assert {asked.method for asked in api.asked} == {"GET"}
    assert "would delete Namespace llama (run r-1)" in capsys.readouterr().out


def test_nothing_left_is_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(leftovers()) as api:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")))
        assert modelrt_sweep("--expired", "--yes") == 0
    assert "nothing of ours is there" in capsys.readouterr().out


def test_what_may_not_be_listed_is_not_called_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(asked: Asked) -> Answer | Stream | Cut:
        if asked.path.endswith("/clusterbasemodels"):
            return status(403, "Forbidden", "clusterbasemodels.ome.io is forbidden")
        return leftovers()(asked)

    with serving(script) as api:
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        assert modelrt_sweep("--all-runs", "--yes", "--kubeconfig", str(path)) == 1
    assert "not seen: clusterbasemodels: clusterbasemodels.ome.io is forbidden" in capsys.readouterr().out


def test_an_api_server_that_does_not_answer_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(leftovers()) as api:
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}", speed=1000)
    assert modelrt_sweep("--all-runs", "--kubeconfig", str(path)) == 1
    err = capsys.readouterr().err
    assert "connection refused" in err
    assert err.count("\n") == 1
