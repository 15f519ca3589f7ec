"""The commands of `patterns`, a file for each verb; `app/cli.py` defines their options."""
