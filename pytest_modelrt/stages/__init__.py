"""The life of one case: its stages, their deadlines, and the order of cleanup."""
