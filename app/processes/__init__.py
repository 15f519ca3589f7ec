"""Helper processes: the trainer and the table reader, and the limits that they put on themselves."""
