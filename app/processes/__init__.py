"""Processes beside the server: the trainer and the table reader with their limits, the workers and their supervisor."""
