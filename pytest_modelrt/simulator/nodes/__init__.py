"""GPU nodes: scheduler, kubelet, engines, logs and port-forward."""
