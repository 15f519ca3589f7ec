"""The protocols in which predictions are asked for, a folder each: addresses, bodies, and their OpenAPI documents."""
