"""Other people's clients against our server: `make test-clients`."""
