"""The protocols of predictions, a folder each: their addresses, bodies, and OpenAPI documents."""
