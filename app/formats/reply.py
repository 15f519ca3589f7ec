"""The answers to the rows of a question, by name, before they are written in any format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.bundle import Bundle

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

    @property
    def are_labels(self) -> bool:
        return self.bundle.labels is not None

    @property
    def numbers(self) -> Array | None:
        """All outputs side by side, float64 (n_rows, n_outputs); None unless all outputs are numbers."""
        return None if self.are_labels else self.answers

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

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Outputs and probabilities as columns of one table: species, species=setosa, species=virginica, …"""
        likely = {
            f"{output}={label}": column
            for output, by_label in self.probabilities.items()
            for label, column in by_label.items()
        }
        return self.outputs | likely

    def in_layout(self, layout: Layout) -> dict[str, Any]:
        """Return `outputs` for JSON, and `probabilities` in the same layout, each as {label: p}."""
        numbers = self.numbers
        if numbers is not None and layout == "rows":
            return {"outputs": np.ascontiguousarray(numbers)}
        if numbers is not None and layout == "flat" and numbers.shape[1] == 1:
            return {"outputs": np.ascontiguousarray(numbers[:, 0])}
        laid_out = {"outputs": _laid_out(layout, self.outputs)}
        if self.probabilities:
            by_output = {output: _by_row(by_label) for output, by_label in self.probabilities.items()}
            laid_out["probabilities"] = _laid_out(layout, by_output)
        return laid_out


def _by_row(by_label: dict[str, Array]) -> list[dict[str, float]]:
    rows = np.stack(list(by_label.values()), axis=1).tolist()
    return [dict(zip(by_label, row, strict=True)) for row in rows]


def _laid_out(layout: Layout, columns: Mapping[str, NDArray[Any] | list[dict[str, float]]]) -> Any:
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
