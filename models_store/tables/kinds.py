"""The kinds of a table's columns, named without NumPy for cards and messages."""

from typing import Literal

Kind = Literal["number", "category", "boolean", "date", "text"]
