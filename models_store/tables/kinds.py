"""The kinds of a table's columns, named without NumPy for cards and messages."""

from typing import Literal, get_args

Kind = Literal["number", "category", "boolean", "date", "time", "duration", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Kinds whose values have an order and distances. They are learned as numbers, and a lone dash among them is no value.
ORDERED: frozenset[Kind] = frozenset({"number", "date", "time", "duration"})
