"""The native HTTP API; the signature of a route names the long-lived objects that it needs."""
