"""Facts of a column of an uploaded table, inferred before anything is trained on it. Free of polars."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from models_store.tables.spelling import DateOrder
from models_store.tables.table import Kind

Form = Literal["csv", "parquet", "arrow", "json-lines", "arff", "workbook", "spss", "stata"]


@dataclass(frozen=True)
class ColumnFacts:
    name: str
    kind: Kind
    missing: int
    """The number of rows without a value."""
    distinct: int
    """The number of different values, missing ones aside."""
    examples: list[float | bool | str]
    """The first different values, three at most, as JSON values; long texts are cut."""
    dropped: str | None = None
    """The reason to leave it out, in a few words."""
    ambiguity: str | None = None
    """The reason why its kind is not clear, and the ways to settle it; until then nothing is trained on it."""
    labels: bool = False
    """True if predicting it is classification, unless the recipe's task says otherwise."""
    order: DateOrder | None = None
    """The order of day and month where dates are not written as in ISO 8601."""
    format: str | None = None
    """The format of dates or times that the recipe names, or that is inferred for numbers which are to be dates."""
    note: str | None = None
    """What to know about the column, though it is kept, in a few words."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name; `ambiguity` is called `doubt` on the wire and on disk."""
        return {"doubt" if name == "ambiguity" else name: value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Raises TypeError where a field is unknown or missing."""
        fields = dict(saved)
        return cls(ambiguity=fields.pop("doubt", None), **fields)
