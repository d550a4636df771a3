"""How long a freed slot stays empty on a cluster shared by leases, and what the controller costs."""
