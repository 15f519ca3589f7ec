"""What is known of a column of a table before anything is trained on it. Polars is not needed to say it."""

from dataclasses import dataclass
from typing import Literal

from models_store.table import Kind

Form = Literal["csv", "parquet", "arrow"]


@dataclass(frozen=True)
class ColumnFacts:
    name: str
    kind: Kind
    missing: int
    """Rows without a value."""
    distinct: int
    """Different values, missing ones aside."""
    examples: list[float | bool | str]
    """The first different values, three at most, as JSON values; long texts are cut."""
    dropped: str | None = None
    """Why it should be left out, in a few words."""
