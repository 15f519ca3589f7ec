"""Raw tables: typed columns, and the way files and requests spell them."""
