"""The way from a body to its answer: the versions in memory, batches, admission, and the plan of where work runs."""
