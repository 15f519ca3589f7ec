"""The native protocol: POST /predict/{pattern}."""
