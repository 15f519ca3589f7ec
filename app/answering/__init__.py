"""From a question to its answer: the versions in memory, batching, admission, and what work costs."""
