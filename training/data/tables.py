"""Datasets made from tables: the kinds of the input columns, the target, and the split of the rows.

DataFrame -> kinds (inferred from whole columns, or as the recipe says) -> rows with a target -> split -> Dataset
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from models_store.arrays import Array
from models_store.errors import shortened, shortened_name, unlike
from models_store.tables import inference
from models_store.tables.inference import ColumnFacts
from models_store.tables.left_out import type_left_out
from models_store.tables.spelling import Spelling
from models_store.tables.table import Kind, Table, are_missing, category_of
from training.data.dataset import LARGEST_TARGET, DataError, Dataset, Labels, Rows
from training.recipe.data import TableData
from training.recipe.fit import Split
from training.recipe.spec import MOST_NUMBERS, PatternSpec

if TYPE_CHECKING:
    import polars as pl

MOST_LABELS = 1000  # of a classification
FEWEST_ROWS_OF_A_LABEL = 2
FEWEST_ROWS = 10
MOST_NAMED = 5

ReadTable = Callable[[str], "pl.DataFrame"]
"""Id of a data set, or a well-known name -> its table."""


def make(spec: PatternSpec, data: TableData, frame: "pl.DataFrame") -> Dataset:
    """Return the rows of a table, split. The same recipe and table make the same rows in the same parts.

    Raises DataError where the table has nothing to learn from, or too much; TableError where a column cannot be read.
    """
    _check_targets(data, frame)
    frame = inference.without(frame, data.missing)
    found = _facts(data, frame)
    orders = {name: facts.order for name, facts in found.items() if facts.order is not None}
    formats = {name: facts.format for name, facts in found.items() if facts.format is not None}
    spelling = Spelling(frozenset(data.missing), orders, formats)
    kinds = _input_kinds(data, found)
    targets = inference.targets_of(frame, {name: found[name].kind for name in data.target}, spelling)
    kept = _has_target(targets)
    if kept.sum() < FEWEST_ROWS:
        raise DataError(
            f"data.target: only {int(kept.sum())} rows have a value there; a training needs {FEWEST_ROWS} at least"
        )
    labels = _labels(data, found, targets.take(kept))
    numbers = _label_numbers(targets.take(kept), labels) if labels else _numbers(data, found, targets.take(kept))
    remarks = [remark for name, facts in found.items() if name not in data.target for remark in _remarks(facts)]
    if not kept.all():
        remarks.append(f"{int((~kept).sum())} rows without a {' or '.join(data.target)} were left out.")
    inputs = inference.table_of(frame, kinds, spelling)
    rows = Rows(inputs if kept.all() else inputs.take(kept), numbers)
    seed = spec.seed if data.seed is None else data.seed
    train, validation, test = _parts(rows, spec.split, seed, labels)
    if len(train) * len(kinds) > MOST_NUMBERS:
        raise DataError(
            f"data.dataset: {len(train)} training rows of {len(kinds)} columns are more than {MOST_NUMBERS} values; "
            "drop columns, or upload fewer rows"
        )
    return Dataset(
        kinds, data.target, train, validation, test, labels=labels, remarks=tuple(remarks), spelling=spelling
    )


def _check_targets(data: TableData, frame: "pl.DataFrame") -> None:
    for name in (*data.target, *data.columns, *data.date_format):
        if name not in frame.columns:
            raise DataError(f"{shortened_name(name)}: there is no such column; {unlike(name, frame.columns)}")
    for name in data.target:
        if (type_name := type_left_out(frame[name])) is not None:
            raise DataError(
                f"data.target: {shortened_name(name)} is of the type {type_name}, from which nothing can be learned"
            )


def _facts(data: TableData, frame: "pl.DataFrame") -> dict[str, ColumnFacts]:
    """Infer each column from its values. Raises DataError where one is ambiguous, and says what settles it."""
    dates = None if data.dates == "auto" else data.dates
    said = (data.columns, dates, data.missing, data.date_format)
    found = {facts.name: facts for facts in inference.facts(frame, *said)}
    ambiguities = [facts.ambiguity for facts in found.values() if facts.ambiguity]
    if ambiguities:
        raise DataError(ambiguities[0])
    return found


def _input_kinds(data: TableData, found: dict[str, ColumnFacts]) -> dict[str, Kind]:
    kinds = {name: facts.kind for name, facts in found.items() if name not in data.target and facts.dropped is None}
    if not kinds:
        raise DataError(
            f"data.columns: no column is left to predict from, of {len(found)}; drop fewer, or name their kinds"
        )
    return kinds


def _remarks(facts: ColumnFacts) -> list[str]:
    """Return what the card says of an input column; the target is not judged as one."""
    left_out = [f"{facts.name} was left out: {facts.dropped}."] if facts.dropped else []
    return left_out + ([f"{facts.name} {facts.note}."] if facts.note else [])


def _has_target(targets: Table) -> NDArray[np.bool_]:
    missing = np.stack([are_missing(values) for values in targets.columns.values()])
    return ~np.asarray(missing.any(axis=0))


# -- the target ----------------------------------------------------------------------------------------------------


def _labels(data: TableData, found: dict[str, ColumnFacts], targets: Table) -> Labels | None:
    """Return the labels of the target; None if it is numbers. Raises DataError if it cannot be learned from."""
    name = data.target[0]
    kind, values = found[name].kind, targets.columns[name]
    if len(data.target) > 1 or data.task == "regression":
        return None
    if data.task == "auto" and not found[name].labels:
        return None
    if kind in ("date", "time", "duration"):
        raise DataError(
            f"data.target: {shortened_name(name)} is a {kind}, which is not a label; call it a category in "
            "data.columns, or write it as numbers, such as days or hours"
        )
    counts = Counter(values.tolist())
    if len(counts) < 2:
        raise DataError(
            f"data.target: {shortened_name(name)} has the same value in every row; there is nothing to learn"
        )
    if len(counts) > MOST_LABELS:
        raise DataError(
            f"data.target: {shortened_name(name)} has {len(counts)} different labels, and {MOST_LABELS} are the most; "
            "for numbers, set data.task: regression"
        )
    rare = [shortened_name(_word(label)) for label, count in counts.items() if count < FEWEST_ROWS_OF_A_LABEL]
    if rare:
        raise DataError(
            f"data.target: {len(rare)} label(s) of {shortened_name(name)} stand in one row each: "
            f"{shortened(rare, MOST_NAMED)}; a label needs {FEWEST_ROWS_OF_A_LABEL} rows at least, to be learned and "
            "to be tested; take these rows out, or give them a label that others have"
        )
    match kind:
        case "number":
            return Labels(tuple(category_of(repr(value)) for value in sorted(counts)), "number")
        case "boolean":
            return Labels(("false", "true"), "boolean")
    return Labels(tuple(sorted(counts)), "text")


def _word(label: object) -> str:
    return label if isinstance(label, str) else category_of(repr(label))


def _label_numbers(targets: Table, labels: Labels) -> Array:
    """Return the number of each row's label, float64 (n_rows, 1)."""
    (values,) = targets.columns.values()
    if labels.kind == "text":
        numbers = {label: float(number) for number, label in enumerate(labels.names)}
        return np.array([numbers[value] for value in values])[:, None]
    if labels.kind == "boolean":
        return values.astype(np.float64)[:, None]
    known = np.array([float(label) for label in labels.names])
    return np.searchsorted(known, values.astype(np.float64)).astype(np.float64)[:, None]


def _numbers(data: TableData, found: dict[str, ColumnFacts], targets: Table) -> Array:
    """Return the targets of a regression, float64 (n_rows, n_outputs). Raises DataError if one cannot be learned."""
    for name in data.target:
        if found[name].kind not in ("number", "boolean"):
            raise DataError(
                f"data.target: {shortened_name(name)} is no column of numbers but of kind {found[name].kind}; "
                "labels are learned one column at a time, and not as a regression"
            )
    numbers = np.stack([values.astype(np.float64) for values in targets.columns.values()], axis=1)
    if (numbers == numbers[0]).all(axis=0).any():
        raise DataError("data.target: a column has the same value in every row; there is nothing to learn")
    if not (np.abs(numbers) < LARGEST_TARGET).all():
        raise DataError(f"data.target: a value is beyond {LARGEST_TARGET:g}; use a smaller unit, or leave the row out")
    return numbers


# -- the split -----------------------------------------------------------------------------------------------------


def _parts(rows: Rows, split: Split, seed: int, labels: Labels | None) -> tuple[Rows, Rows | None, Rows]:
    numbers = rows.targets[:, 0] if labels else None
    rest, test = cut(np.arange(len(rows)), split, "test", seed, numbers)
    if split.validation == 0:
        return rows.take(rest), None, rows.take(test)
    train, validation = cut(rest, split, "validation", seed, numbers)
    return rows.take(train), rows.take(validation), rows.take(test)


def cut(
    places: NDArray[Any], split: Split, part: Literal["test", "validation"], seed: int, numbers: Array | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split off a part; return the indices of the remaining rows, and those of the part.

    `places` are indices of rows, int (n,); `numbers` the numbers of the labels of all rows, or None.
    The split is scikit-learn's own, so that a recipe with a seed used elsewhere finds the same rows.
    Raises DataError where the part, or what remains, would have no rows.
    """
    share = split.test if part == "test" else split.validation
    n_taken = round(share * len(places))
    if not 0 < n_taken < len(places):
        raise DataError(f"split.{part}: {share:g} of {len(places)} rows leaves a part without rows; use more rows")
    if not split.shuffle:
        return places[:-n_taken], places[-n_taken:]
    strata = None if numbers is None or not split.stratify else numbers[places]
    if strata is not None and not _can_be_shared(strata, n_taken):
        strata = None
    rest, taken = train_test_split(places, test_size=n_taken, random_state=seed, stratify=strata)
    return np.asarray(rest), np.asarray(taken)


def _can_be_shared(numbers: Array, n_taken: int) -> bool:
    """True if both parts can have a row of each label."""
    counts = np.unique(numbers, return_counts=True)[1]
    return bool(counts.min() >= FEWEST_ROWS_OF_A_LABEL and n_taken >= len(counts) <= len(numbers) - n_taken)
