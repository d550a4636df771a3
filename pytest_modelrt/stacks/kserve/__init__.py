"""KServe's LLMInferenceService behind a gateway: what is installed, the overlay, one model's life, who asks and how.

Facts about the platform are those of KServe v0.16, Kuadrant v1.3 and llm-d-inference-sim v0.5.1 and later.
"""

from pytest_modelrt.stacks.kserve.stack import KserveStack

__all__ = ["KserveStack"]
