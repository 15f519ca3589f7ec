"""Raw tables: typed columns, how files and requests spell them, and how files are read."""
