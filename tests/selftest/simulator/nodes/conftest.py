from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.selftest.simulator.nodes.hall import Hall, hall


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with hall(tmp_path_factory.mktemp("hall")) as running:
        yield running
