"""What Kubernetes, OME and KServe controllers do, spoken over the API."""
