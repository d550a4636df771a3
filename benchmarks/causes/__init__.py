"""Which cause the suite gives on each scenario, and how long after the first signal."""
