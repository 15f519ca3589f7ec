"""Fits: encoders learned from training rows, Keras models, the compiled epoch loop, and its progress."""
