"""What the OME controller manager does: base models, inference services, admission."""
