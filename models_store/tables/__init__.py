"""Raw tables: typed columns, and how files and requests spell them."""
