"""The answers to the rows of a question, by name, before they are written in any format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from app.errors import Unprocessable
from models_store.arrays import Array
from models_store.bundle import Bundle

ENDS = ("lower", "upper")
SAME_NAMES = (
    "an output has the name of a column that would be added, such as y_lower; ask in JSON, where intervals and sets "
    "stand apart"
)
Layout = Literal["rows", "flat", "records", "record", "columns"]


@dataclass(frozen=True, eq=False)
class Reply:
    """The answers of a bundle to the rows of a question. Columns are made of them when a format asks for them."""

    bundle: Bundle
    answers: Array
    """float64 (n_rows, n_outputs), or of a classification the probabilities (n_rows, n_labels)."""
    with_probabilities: bool = False
    version: int = 0
    remarks: Mapping[str, Any] = field(default_factory=dict)
    """What is remarked on rows, by kind of remark: outside, unseen, filled. Formats without a place for it leave it."""
    ends: Array | None = None
    """Lower and upper ends of intervals, float64 (n_rows, n_outputs, 2), if they are asked for."""
    members: NDArray[np.bool_] | None = None
    """Which labels are in the set of each row, (n_rows, n_labels), if sets are asked for."""

    @property
    def are_labels(self) -> bool:
        return self.bundle.labels is not None

    @property
    def numbers(self) -> Array | None:
        """All outputs side by side, float64 (n_rows, n_outputs); None unless all outputs are numbers."""
        return None if self.are_labels else self.answers

    @property
    def numbers_and_ends(self) -> Array | None:
        """Outputs, and to their right lower and upper end of each; None unless all outputs are numbers."""
        if self.numbers is None or self.ends is None:
            return self.numbers
        return np.concatenate([self.numbers, self.ends.reshape(len(self.ends), -1)], axis=1)

    @cached_property
    def outputs(self) -> dict[str, NDArray[Any]]:
        """Answers by the name of their output, (n_rows,): numbers as float64, labels in the type of the data."""
        return self.bundle.named(self.answers)

    @cached_property
    def probabilities(self) -> dict[str, dict[str, Array]]:
        """Probabilities by output and label, float64 (n_rows,); empty unless they are asked for."""
        labels = self.bundle.labels
        if labels is None or not self.with_probabilities:
            return {}
        by_label = dict(zip(labels, self.answers.T, strict=True))
        return dict.fromkeys(self.bundle.outputs, by_label)

    @cached_property
    def intervals(self) -> dict[str, Array]:
        """Lower and upper ends by output, float64 (n_rows, 2); empty unless they are asked for."""
        return {} if self.ends is None else dict(zip(self.bundle.outputs, self.ends.transpose(1, 0, 2), strict=True))

    @cached_property
    def sets(self) -> dict[str, list[list[Any]]]:
        """The labels of each row's set by output, the most probable first; empty unless they are asked for."""
        if self.members is None:
            return {}
        values = self.bundle.label_values.tolist()
        order = np.argsort(-self.answers, axis=1, kind="stable").tolist()
        is_in = self.members.tolist()
        rows = [[values[n] for n in places if there[n]] for places, there in zip(order, is_in, strict=True)]
        return dict.fromkeys(self.bundle.outputs, rows)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """All that is answered as columns of one table: y, y_lower, y_upper; species, species_set, species=setosa, …

        Raises Unprocessable where two of them would have the same name.
        """
        ends = {
            f"{output}_{end}": pair[:, place]
            for output, pair in self.intervals.items()
            for place, end in enumerate(ENDS)
        }
        sets = {f"{output}_set": column_of_lists(rows) for output, rows in self.sets.items()}
        likely = {
            f"{output}={label}": column
            for output, by_label in self.probabilities.items()
            for label, column in by_label.items()
        }
        parts = [self.outputs, ends, sets, likely]
        columns = {name: column for part in parts for name, column in part.items()}
        if len(columns) < sum(map(len, parts)):
            raise Unprocessable("bad_parameter", SAME_NAMES)
        return columns

    def in_layout(self, layout: Layout) -> dict[str, Any]:
        """Return `outputs` for JSON, and in the same layout what else is asked for.

        `probabilities` has {label: p} in each place, `intervals` [lower, upper], `sets` a list of labels.
        """
        laid_out = {"outputs": self._outputs_in(layout)}
        if not self.with_probabilities and self.ends is None and self.members is None:
            return laid_out
        if self.probabilities:
            by_output = {output: _by_row(by_label) for output, by_label in self.probabilities.items()}
            laid_out["probabilities"] = _laid_out(layout, by_output)
        if self.intervals:
            ends = {output: np.ascontiguousarray(pairs) for output, pairs in self.intervals.items()}
            laid_out["intervals"] = _laid_out(layout, ends)
        if self.sets:
            laid_out["sets"] = _laid_out(layout, self.sets)
        return laid_out

    def _outputs_in(self, layout: Layout) -> Any:
        numbers = self.numbers
        if numbers is not None and layout == "rows":
            return np.ascontiguousarray(numbers)
        if numbers is not None and layout == "flat" and numbers.shape[1] == 1:
            return np.ascontiguousarray(numbers[:, 0])
        return _laid_out(layout, self.outputs)


def column_of_lists(rows: list[list[Any]]) -> NDArray[Any]:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


def texts_of_lists(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column of sets as JSON texts, for formats that have no lists; other columns as they are."""
    if column.dtype != object or not len(column) or not isinstance(column[0], list):
        return column
    return np.array([orjson.dumps(cell).decode() for cell in column], dtype=object)


def _by_row(by_label: dict[str, Array]) -> list[dict[str, float]]:
    rows = np.stack(list(by_label.values()), axis=1).tolist()
    return [dict(zip(by_label, row, strict=True)) for row in rows]


def _laid_out(layout: Layout, columns: Mapping[str, NDArray[Any] | list[Any]]) -> Any:
    if layout == "flat" and len(columns) > 1:
        return _laid_out("rows", columns)
    arrays = [column for column in columns.values() if isinstance(column, np.ndarray) and column.dtype.kind in "fib"]
    if layout == "rows" and len(arrays) == len(columns):
        return np.stack(arrays, axis=1)  # orjson writes an array faster than lists, but takes none of texts
    lists = {name: column if isinstance(column, list) else column.tolist() for name, column in columns.items()}
    rows = zip(*lists.values(), strict=True)
    match layout:
        case "records":
            return [dict(zip(lists, row, strict=True)) for row in rows]
        case "record":
            return dict(zip(lists, next(rows), strict=True))
        case "columns":
            return lists
        case "flat":
            return next(iter(lists.values()))
        case "rows":
            return [list(row) for row in rows]
