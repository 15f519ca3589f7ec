"""Between the socket and the routes: limits of the HTTP protocol, request ids, keys, and dispatch to the dialects."""
