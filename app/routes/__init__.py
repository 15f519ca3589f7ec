"""The native HTTP API except `/predict`, which is a dialect. A route's signature names the objects that it needs."""
