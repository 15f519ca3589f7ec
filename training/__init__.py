"""Turns a recipe into a bundle."""
