"""Plots of a bundle, as SVG or PNG."""
