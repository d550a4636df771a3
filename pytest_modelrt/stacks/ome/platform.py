"""Which release of the platform serves the models."""

from __future__ import annotations

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import POD
from pytest_modelrt.stacks.ome.context import dig
from pytest_modelrt.stacks.ome.names import CONTROLLER_LABEL, SYSTEM_NAMESPACE


def platform_version(cluster: Cluster) -> str:
    """``OME v0.1.5``, from the image of its controller; ``OME`` when no controller runs.

    Raises:
        ClusterError: the cluster does not say.
    """
    for pod in cluster.list(POD, SYSTEM_NAMESPACE, labels=CONTROLLER_LABEL):
        image = str((dig(pod, "spec", "containers") or [{}])[0].get("image", ""))
        tag = image.rpartition("/")[2].partition(":")[2]
        if tag:
            return f"OME {tag}"
    return "OME"
