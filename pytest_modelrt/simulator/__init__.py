"""The embedded cluster: to the suite, an HTTPS Kubernetes API and nothing else."""
