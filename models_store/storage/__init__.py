"""Directories on disk: bundles, version labels, uploaded tables and checkpoints."""
