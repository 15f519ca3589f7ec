"""From training rows to a fitted network: encoders, the compiled epoch loop, and its progress."""
