"""What the command line does, a file a verb; `app/cli.py` says what it is called."""
