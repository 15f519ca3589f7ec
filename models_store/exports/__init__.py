"""A version as one file of another language or format, which answers raw values as the server does."""
