"""The native HTTP API; each route is a sentence, what it needs is named in its signature."""
