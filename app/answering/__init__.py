"""The versions in memory, batching, admission, and what work costs: from a body to its answer."""
