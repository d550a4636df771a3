"""``modelrt check``: everything that can be known to be wrong with a config tree before a cluster sees it."""
