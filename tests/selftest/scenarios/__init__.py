"""Scenarios: their files, what they do to the simulated cluster, and which cause the suite gives on them."""
