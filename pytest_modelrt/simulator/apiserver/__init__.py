"""A small Kubernetes API server; knows nothing about models."""
