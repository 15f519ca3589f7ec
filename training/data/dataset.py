"""Raw columns, split into train, validation and test rows; knows which rows are which. Lives for one training.

Formulas and sequences are drawn and labelled here; tables come from `training/table_data.py`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models_store.arrays import Array
from models_store.encoding.outputs import LabelKind
from models_store.errors import PatternServerError
from models_store.tables import table
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import Kind, Raw, take
from training.recipe.data import FormulaData, Integers, Normal, SequenceData, TableData, Uniform
from training.recipe.fit import Split
from training.recipe.formula import Formula
from training.recipe.spec import PatternSpec

# The square of a larger one is no longer a number.
LARGEST_LABEL = 1e150


class DataError(PatternServerError):
    """Data that nothing can be trained on; the message says why."""

    code = "bad_data"


@dataclass(frozen=True, eq=False)
class Rows:
    """`inputs` raw (n_rows, n_columns); `outputs` float64 (n_rows, n_outputs) raw, or the labels' numbers."""

    inputs: Raw
    outputs: Array

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def numbers(self) -> Array:
        """The inputs of rows that hold nothing but numbers, as those of a formula do."""
        assert isinstance(self.inputs, np.ndarray)
        return self.inputs

    def take(self, places: Any) -> "Rows":
        return Rows(take(self.inputs, places), self.outputs[places])


def joined(*parts: Rows) -> Rows:
    """The rows of one part after those of another."""
    return Rows(table.joined([rows.inputs for rows in parts]), np.concatenate([rows.outputs for rows in parts]))


@dataclass(frozen=True)
class Labels:
    """What a classification tells apart, in the order of their numbers."""

    names: tuple[str, ...]
    kind: LabelKind


@dataclass(frozen=True, eq=False)
class Dataset:
    kinds: Mapping[str, Kind]
    """Of each input column, in order."""
    outputs: tuple[str, ...]
    train: Rows
    validation: Rows | None
    test: Rows
    duplicates_dropped: int = 0
    labels: Labels | None = None
    remarks: tuple[str, ...] = field(default=())
    """What was done to the columns and rows before anything was learned from them."""
    spelling: Spelling = PLAIN
    """Of the table that the rows come from."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    @property
    def fitted(self) -> Rows:
        """Train and validation rows together: all that is not test."""
        return self.train if self.validation is None else joined(self.train, self.validation)

    @classmethod
    def make(cls, spec: PatternSpec) -> "Dataset":
        """Of a formula or sequence: draw, label, split. The same spec makes the same rows. DataError if it cannot."""
        data = spec.data
        assert not isinstance(data, TableData)
        # The legacy generator, because the figures that recipes are compared with were made with it.
        rng = np.random.RandomState(spec.seed if data.seed is None else data.seed)
        inputs, duplicates = _draw(data, rng)
        rows = _labelled(inputs, data)
        region = data.test if isinstance(data, FormulaData) else None
        if region is None:
            rest, test = _split(rows, spec.split.test, spec.split, rng, "test")
        else:
            drawn = _columns(region.rows, {name: region.inputs[name] for name in data.inputs}, rng)
            if isinstance(data, FormulaData) and data.unique:
                drawn = _unseen(drawn, inputs)
            rest, test = rows, _labelled(drawn, data)
        validation = None
        if spec.split.validation:
            rest, validation = _split(rest, spec.split.validation, spec.split, rng, "validation")
        return cls(dict.fromkeys(data.columns(), "number"), tuple(data.outputs), rest, validation, test, duplicates)

    def sha256(self) -> str:
        """Of all rows in order: two trainings with the same hash saw the same numbers."""
        digest = hashlib.sha256()
        for rows in filter(None, (self.train, self.validation, self.test)):
            columns = [rows.inputs] if isinstance(rows.inputs, np.ndarray) else list(rows.inputs.columns.values())
            for column in columns:
                # Texts are objects: what is hashed is what they say, and where one ends.
                content = repr(column.tolist()).encode() if column.dtype == object else column.tobytes()
                digest.update(content)
            digest.update(np.ascontiguousarray(rows.outputs).tobytes())
        return digest.hexdigest()


def _draw(data: FormulaData | SequenceData, rng: np.random.RandomState) -> tuple[Array, int]:
    """Inputs (n_rows, n_columns), and how many duplicates were dropped."""
    if isinstance(data, SequenceData):
        with np.errstate(over="ignore"):
            first = data.start + data.step * np.arange(data.rows, dtype=np.float64)
            return np.stack([first + offset for offset in data.inputs.values()], axis=1), 0
    drawn = _columns(data.rows, data.inputs, rng)
    if not data.unique:
        return drawn, 0
    _, first_seen = np.unique(drawn, axis=0, return_index=True)
    return drawn[np.sort(first_seen)], len(drawn) - len(first_seen)


def _columns(n_rows: int, inputs: Mapping[str, Integers | Uniform | Normal], rng: np.random.RandomState) -> Array:
    return np.stack([_column(distribution, n_rows, rng) for distribution in inputs.values()], axis=1)


def _column(distribution: Integers | Uniform | Normal, n_rows: int, rng: np.random.RandomState) -> Array:
    match distribution:
        case Integers(low=low, high=high):
            return rng.randint(low, high, n_rows, dtype=np.int64).astype(np.float64)
        case Uniform(low=low, high=high):
            return rng.uniform(low, high, n_rows)
        case Normal(mean=mean, sd=sd):
            return rng.normal(mean, sd, n_rows)


def _unseen(drawn: Array, seen: Array) -> Array:
    """Each row once, and none that is among `seen`."""
    known = {row.tobytes() for row in seen}
    kept = {row.tobytes(): place for place, row in reversed(list(enumerate(drawn))) if row.tobytes() not in known}
    if not kept:
        raise DataError("data.test: every test row is a training row as well")
    return drawn[sorted(kept.values())]


def _labelled(inputs: Array, data: FormulaData | SequenceData) -> Rows:
    if not np.isfinite(inputs).all():
        raise DataError("data.inputs: the region reaches beyond what a float64 can hold")
    columns = dict(zip(data.columns(), inputs.T, strict=True))
    labels = {output: Formula.parse(text, columns)(columns) for output, text in data.outputs.items()}
    for output, values in labels.items():
        usable = np.abs(values) < LARGEST_LABEL
        if not usable.all():
            row = inputs[np.argmin(usable)]
            where = ", ".join(f"{name}={value:g}" for name, value in list(zip(columns, row, strict=True))[:4])
            raise DataError(f"data.outputs.{output}: the formula has no finite value at {where}")
    return Rows(inputs, np.stack(list(labels.values()), axis=1))


def _split(rows: Rows, share: float, split: Split, rng: np.random.RandomState, name: str) -> tuple[Rows, Rows]:
    """The rest, and `share` of the rows: the last ones, after shuffling if the split says so."""
    n_taken = round(share * len(rows))
    if not 0 < n_taken < len(rows):
        raise DataError(f"split.{name}: {share:g} of {len(rows)} rows leaves a part without rows")
    order = rng.permutation(len(rows)) if split.shuffle else np.arange(len(rows))
    return rows.take(order[:-n_taken]), rows.take(order[-n_taken:])
