"""What is known of a column of a table before anything is trained on it. Polars is not needed to say it."""

from dataclasses import dataclass
from typing import Literal

from models_store.tables.spelling import DateOrder
from models_store.tables.table import Kind

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
    doubt: str | None = None
    """Why nothing is trained on it before somebody says what it is, and what may be said."""
    labels: bool = False
    """To predict it is to tell labels apart, unless the recipe's task says otherwise."""
    order: DateOrder | None = None
    """Of dates that are not written as ISO 8601 has it."""
