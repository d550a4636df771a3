"""The OME stack: ClusterBaseModel, ClusterServingRuntime and InferenceService, and where OME shows how they are."""

from pytest_modelrt.stacks.ome.stack import OmeStack

__all__ = ["OmeStack"]
