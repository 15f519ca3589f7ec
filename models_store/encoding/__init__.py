"""Raw rows to network inputs, and network outputs to raw answers."""
