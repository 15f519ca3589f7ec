"""HTTP, jobs and the command line around the store."""
