"""Fits: encoders learned from training rows, the compiled epoch loop, and its progress."""
