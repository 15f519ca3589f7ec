"""The layers between socket and routes: limits of the protocol, request ids, keys, and dispatch to the dialects."""
