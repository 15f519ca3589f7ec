"""Directories on disk: bundles and their aliases, quarantine, uploaded tables, checkpoints."""
