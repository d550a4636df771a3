"""Prove that each model, its runtime and its inference service deploy, answer and go away again on Kubernetes."""

__version__ = "0.1.0"
