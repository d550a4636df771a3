"""One module per probe kind: the request, the check and the negative control."""
