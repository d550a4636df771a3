"""Which case may start when: tier limits, GPU budget, order, and the xdist scheduler."""
