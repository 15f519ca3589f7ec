"""The layers from socket to route: limits of the protocol, request ids, API keys, and dispatch to the dialects."""
