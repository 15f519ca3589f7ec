"""Benchmarks: ours against the ceiling of its stack, servers written by hand, and peers, alternating in one run."""
