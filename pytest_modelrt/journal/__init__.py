"""Append-only events of a run and the results store over runs."""
