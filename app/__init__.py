"""The server and the command line: HTTP, training jobs, and predictions from the bundles of the store."""
