from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.cluster.cluster import Cluster, ClusterTarget
from pytest_modelrt.cluster.model import MANAGED_BY, MANAGER, RUN_ID

from .scripted import Script, ScriptedApi, kubeconfig, serving

RUN = "r-1"
Connected = tuple[Cluster, ScriptedApi]


def pod(
    name: str, *, run: str | None = RUN, version: str = "1", uid: str | None = None, **metadata: Any
) -> dict[str, Any]:
    labels = {MANAGED_BY: MANAGER, RUN_ID: run} if run else {}
    named = {"name": name, "namespace": "ns", "uid": uid or f"uid-{name}", "resourceVersion": version, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**named, **metadata}}


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., Connected]]:
    """``connect(script, speed=…, tolerate_outage=…)``: a scripted API server and a cluster of run ``r-1`` on it."""
    with ExitStack() as stack:

        def start(script: Script, *, speed: float = 1000, tolerate_outage: float = 300) -> Connected:
            api = stack.enter_context(serving(script))
            path = kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}", speed=speed)
            cluster = Cluster.connect(ClusterTarget(path), run_id=RUN, tolerate_outage=tolerate_outage)
            stack.callback(cluster.close)
            return cluster, api

        yield start
