"""The trained pattern: network, encoders, card and recipe as one bundle, and the store that keeps bundles on disk."""
