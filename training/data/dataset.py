"""Raw rows, split into train, validation and test rows. A dataset lives for one training.

Rows of formulas and sequences are drawn here; those of tables are made in `training/data/tables.py`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

# The square of a larger target overflows float64.
LARGEST_TARGET = 1e150


class DataError(PatternServerError):
    """Data that no network can be trained on; the message says why."""

    code = "bad_data"


@dataclass(frozen=True, eq=False)
class Rows:
    """Raw inputs and targets of some rows.

    `inputs` (n_rows, n_columns), a float64 array or a table; `targets` float64 (n_rows, n_outputs), in raw units or the
    numbers of labels.
    """

    inputs: Raw
    targets: Array
    weights: Array | None = None
    """How much each row counts, above 0 and about 1 in the mean, float64 (n_rows,); None: all alike."""
    groups: NDArray[np.int64] | None = None
    """The number of the group of each row, (n_rows,); None: the rows are not split by group."""
    times: Array | None = None
    """What the rows are ordered by, float64 (n_rows,); None: they are not split by time."""

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def numbers(self) -> Array:
        """Inputs of a formula or sequence, float64 (n_rows, n_columns)."""
        assert isinstance(self.inputs, np.ndarray)
        return self.inputs

    def take(self, places: Any) -> "Rows":
        beside = (None if values is None else values[places] for values in (self.weights, self.groups, self.times))
        return Rows(take(self.inputs, places), self.targets[places], *beside)


def joined(*parts: Rows) -> Rows:
    """Return the rows of all parts, one part after another. The parts were split off the same rows."""
    return Rows(
        table.joined([rows.inputs for rows in parts]),
        np.concatenate([rows.targets for rows in parts]),
        _concatenated([rows.weights for rows in parts]),
        _concatenated([rows.groups for rows in parts]),
        _concatenated([rows.times for rows in parts]),
    )


def _concatenated(parts: list[Any]) -> Any:
    return None if any(part is None for part in parts) else np.concatenate(parts)


@dataclass(frozen=True)
class Labels:
    """The labels of a classification, in the order of their numbers."""

    names: tuple[str, ...]
    kind: LabelKind


@dataclass(frozen=True, eq=False)
class Dataset:
    """Train, validation and test rows of one training."""

    kinds: Mapping[str, Kind]
    """Kind of each input column, in order."""
    outputs: tuple[str, ...]
    """Names of the output columns."""
    train: Rows
    validation: Rows | None
    test: Rows
    duplicates_dropped: int = 0
    labels: Labels | None = None
    """Labels of a classification; None if the targets are numbers."""
    left_out: tuple[str, ...] = ()
    """Columns of the table that are neither inputs nor targets."""
    remarks: tuple[str, ...] = field(default=())
    """Sentences for the card: the columns and rows that were left out, and why."""
    spelling: Spelling = PLAIN
    """Missing-value words and date orders of the table that the rows come from."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    @property
    def fitted(self) -> Rows:
        """Train and validation rows together: all rows but the test rows."""
        return self.train if self.validation is None else joined(self.train, self.validation)

    @classmethod
    def make(cls, spec: PatternSpec) -> "Dataset":
        """Draw the rows of a formula or sequence, compute their targets, and split them. The same spec, the same rows.

        Raises DataError where an input or target is not finite, or a part would have no rows.
        """
        data = spec.data
        assert not isinstance(data, TableData)
        # NumPy's legacy generator, because the authors' figures that recipes are compared with were made with it.
        rng = np.random.RandomState(spec.seed if data.seed is None else data.seed)
        inputs, duplicates = _draw(data, rng)
        rows = _with_targets(inputs, data)
        region = data.test if isinstance(data, FormulaData) else None
        if region is None:
            rest, test = _split(rows, spec.split.test, spec.split, rng, "test")
        else:
            drawn = _columns(region.rows, {name: region.inputs[name] for name in data.inputs}, rng)
            if isinstance(data, FormulaData) and data.unique:
                drawn = _unseen(drawn, inputs)
            rest, test = rows, _with_targets(drawn, data)
        validation = None
        if spec.split.validation:
            rest, validation = _split(rest, spec.split.validation, spec.split, rng, "validation")
        return cls(dict.fromkeys(data.columns(), "number"), tuple(data.outputs), rest, validation, test, duplicates)

    def sha256(self) -> str:
        """Return a hash of all rows in order: two trainings with the same hash saw the same rows."""
        digest = hashlib.sha256()
        for rows in filter(None, (self.train, self.validation, self.test)):
            columns = [rows.inputs] if isinstance(rows.inputs, np.ndarray) else list(rows.inputs.columns.values())
            for column in columns:
                # Texts are Python objects: their repr keeps where each of them ends.
                content = repr(column.tolist()).encode() if column.dtype == object else column.tobytes()
                digest.update(content)
            digest.update(np.ascontiguousarray(rows.targets).tobytes())
            if rows.weights is not None:
                digest.update(rows.weights.tobytes())
        return digest.hexdigest()


def fresh(data: FormulaData, n_rows: int, seed: int) -> Rows:
    """Return rows drawn as those of the recipe are, by a seed of their own. Raises DataError as `Dataset.make` does."""
    return _with_targets(_columns(n_rows, data.inputs, np.random.RandomState(seed)), data)


def _draw(data: FormulaData | SequenceData, rng: np.random.RandomState) -> tuple[Array, int]:
    """Return inputs, float64 (n_rows, n_columns), and the number of duplicates that were dropped."""
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
    """Return each drawn row once, without those that are among `seen`. Raises DataError if none is left."""
    known = {row.tobytes() for row in seen}
    kept = {row.tobytes(): place for place, row in reversed(list(enumerate(drawn))) if row.tobytes() not in known}
    if not kept:
        raise DataError(
            f"data.test: all {len(drawn)} test rows are training rows as well; widen data.test.inputs, or set "
            "data.unique: false"
        )
    return drawn[sorted(kept.values())]


def _with_targets(inputs: Array, data: FormulaData | SequenceData) -> Rows:
    if not np.isfinite(inputs).all():
        raise DataError("data.inputs: an input is beyond what a float64 can hold; draw from a smaller region")
    columns = dict(zip(data.columns(), inputs.T, strict=True))
    targets = {output: Formula.parse(text, columns)(columns) for output, text in data.outputs.items()}
    for output, values in targets.items():
        usable = np.abs(values) < LARGEST_TARGET
        if not usable.all():
            row = inputs[at := int(np.argmin(usable))]
            where = ", ".join(f"{name}={value:g}" for name, value in list(zip(columns, row, strict=True))[:4])
            found = "no finite value" if not np.isfinite(values[at]) else f"a value beyond {LARGEST_TARGET:g}"
            raise DataError(
                f"data.outputs.{output}: the formula has {found} at {where}; draw the inputs from another region"
            )
    return Rows(inputs, np.stack(list(targets.values()), axis=1))


def _split(rows: Rows, share: float, split: Split, rng: np.random.RandomState, name: str) -> tuple[Rows, Rows]:
    """Return the remaining rows, and `share` of all rows: the last ones, after shuffling if the split says so."""
    n_taken = round(share * len(rows))
    if not 0 < n_taken < len(rows):
        raise DataError(f"split.{name}: {share:g} of {len(rows)} rows leaves a part without rows; use more rows")
    order = rng.permutation(len(rows)) if split.shuffle else np.arange(len(rows))
    return rows.take(order[:-n_taken]), rows.take(order[-n_taken:])
