"""Which release of the platform serves the models."""

from __future__ import annotations

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import POD, ClusterError
from pytest_modelrt.stacks.ome.context import dig
from pytest_modelrt.stacks.ome.names import CONTROLLER_LABEL, SYSTEM_NAMESPACE

OLD_RELEASES = ("v0.1.3", "v0.1.4")
"""Releases that read versions strictly, and whose agents do not say how far a download is (facts: OME 2.2, 3.2)."""


def is_old(cluster: Cluster) -> bool:
    """Whether the platform is one of ``OLD_RELEASES``; taken for the latest where the cluster does not say."""
    try:
        return platform_version(cluster).partition(" ")[2] in OLD_RELEASES
    except ClusterError:
        return False


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
