"""All Kubernetes: connection, objects, watches, logs, tunnels, ownership and sweep."""
