"""The gRPC port: the same edge, keys, limits and answers as over HTTP, for dialects whose bodies are messages."""
