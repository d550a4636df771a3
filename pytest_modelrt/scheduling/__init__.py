"""Which case may start when: tier limits, GPU budget, order, and the xdist scheduler.

``limits``, ``jobs``, ``order``, ``estimates``, ``forecast``, ``books`` and ``status`` are pure; ``xdist``, ``tiers``,
``quarantine`` (controller) and ``worker`` (worker) tie them to pytest-xdist.
"""
