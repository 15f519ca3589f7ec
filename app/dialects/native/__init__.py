"""Our own protocol: POST /predict/{pattern}."""
