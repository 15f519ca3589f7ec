"""Datasets made from tables: the kinds of the input columns, the target, and the split of the rows.

DataFrame -> kinds (inferred from whole columns, or as the recipe says) -> rows with a target -> split -> Dataset
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import TableError
from models_store.tables import inference, ways_out
from models_store.tables.date_formats import kind_of_format
from models_store.tables.inference import ColumnFacts
from models_store.tables.kinds import ORDERED
from models_store.tables.left_out import type_left_out
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import Kind, Table, are_missing, category_of, column_of
from models_store.wording import counted, shortened, shortened_name, unlike
from training.data.dataset import LARGEST_TARGET, DataError, Dataset, Labels, Rows
from training.data.splits import FEWEST_ROWS_OF_A_LABEL, cut
from training.recipe.data import TableData
from training.recipe.fit import Split
from training.recipe.spec import MOST_NUMBERS, NO_FORMULA_OF_LABELS, PatternSpec

if TYPE_CHECKING:
    import polars as pl

MOST_LABELS = 1000  # of a classification
FEWEST_ROWS = 10
MOST_NAMED = 5

ReadTable = Callable[[str], "pl.DataFrame"]
"""Id of a data set, or a well-known name -> its table."""


Parts = tuple[Rows, Rows | None, Rows]


def make(
    spec: PatternSpec, data: TableData, frame: "pl.DataFrame", test_frame: "pl.DataFrame | None" = None
) -> Dataset:
    """Return the rows of a table, split. The same recipe and table make the same rows in the same parts.

    `test_frame` is a table of test rows; None: they are a share of the rows of `frame`. Kinds and labels are those of
    `frame`. Raises DataError where the table has nothing to learn from, or too much; TableError where a column cannot
    be read.
    """
    _check_named(spec, data, frame)
    frame = inference.without(frame, data.missing)
    found = _facts(data, frame)
    orders = {name: facts.order for name, facts in found.items() if facts.order is not None}
    formats = {name: facts.format for name, facts in found.items() if facts.format is not None}
    spelling = Spelling(frozenset(data.missing), orders, formats)
    kinds = _input_kinds(data, found, _no_inputs(spec, data))
    target = {name: found[name].kind for name in data.target}
    columns = _Columns(kinds, target, spelling, data.weight, inference.labels_as_written(frame, target))
    targets, kept = columns.targets(frame)
    if kept.sum() < FEWEST_ROWS:
        have = counted(int(kept.sum()), "row has", "rows have")
        raise DataError(f"data.target: only {have} a value there; a training needs {FEWEST_ROWS} at least")
    labels = _labels(data, found, targets)
    if labels is not None and spec.outside == "formula":
        raise DataError(NO_FORMULA_OF_LABELS)
    numbers = _label_numbers(targets, labels) if labels else _numbers(data, found, targets)
    rows = columns.rows(frame, numbers, kept)
    rows = _with_groups(rows, frame, spec.split.group, spelling, kept)
    rows = _with_times(rows, frame, spec.split.time, *_time_of(spec.split.time, data, found, spelling), kept)
    own_test = None if test_frame is None else _test_rows(columns, data, labels, test_frame)
    seed = spec.seed if data.seed is None else data.seed
    train, validation, test = _parts(rows, spec.split, seed, own_test, are_labels=labels is not None)
    if len(train) * len(kinds) > MOST_NUMBERS:
        raise DataError(
            f"data.dataset: {len(train)} training rows of {len(kinds)} columns are more than {MOST_NUMBERS} values; "
            "drop columns, or upload fewer rows"
        )
    return Dataset(
        kinds,
        data.target,
        train,
        validation,
        test,
        labels=labels,
        left_out=tuple(name for name in frame.columns if name not in kinds and name not in data.target),
        remarks=(*_all_remarks(spec, data, found), *_without_target(data, kept)),
        spelling=spelling,
    )


@dataclass(frozen=True)
class _Columns:
    """The columns that are read of a table, by what the training table showed of them."""

    inputs: dict[str, Kind]
    target: dict[str, Kind]
    spelling: Spelling
    weight: str | None
    as_written: frozenset[str]
    """The targets whose labels are as the file writes them."""

    def targets(self, frame: "pl.DataFrame") -> tuple[Table, NDArray[np.bool_]]:
        """Return the targets of the rows that have one, and a mask of these rows."""
        targets = inference.targets_of(frame, self.target, self.spelling, self.as_written)
        kept = _has_target(targets)
        return targets.take(kept), kept

    def rows(self, frame: "pl.DataFrame", numbers: Array, kept: NDArray[np.bool_], field: str = "data.weight") -> Rows:
        """Return the rows that are kept; `numbers` are their targets. `field` is named where a weight is none."""
        inputs = inference.table_of(frame, self.inputs, self.spelling)
        rows = Rows(inputs if kept.all() else inputs.take(kept), numbers)
        return rows if self.weight is None else replace(rows, weights=_weights(frame, self.weight, kept, field))


def _test_rows(columns: _Columns, data: TableData, labels: Labels | None, frame: "pl.DataFrame") -> Rows:
    """Return the rows of a test table, read as the training table was. Raises DataError, TableError."""
    needed = (*columns.inputs, *columns.target, *filter(None, [columns.weight]))
    lacking = [name for name in needed if name not in frame.columns]
    if lacking:
        raise DataError(
            f"data.test: the table lacks {len(lacking)} column(s) of the training table: "
            f"{shortened(map(shortened_name, lacking), MOST_NAMED)}"
        )
    for name in needed:
        if (type_name := type_left_out(frame[name])) is not None:
            raise DataError(f"data.test: {shortened_name(name)} is of the type {type_name}, which is not read")
    try:
        frame = inference.without(frame, data.missing)
        targets, kept = columns.targets(frame)
        if not kept.any():
            raise DataError(f"data.test: no row has a value of {' and '.join(data.target)}, which it is tested by")
        if labels is not None and labels.kind == "text" and not inference.holds_texts(frame[data.target[0]]):
            targets = _named(targets, labels)
        numbers = _known_numbers(targets, labels) if labels else _finite_numbers(targets)
        return columns.rows(frame, numbers, kept, "data.test")
    except TableError as error:
        raise TableError(f"data.test: {error}") from None


def _no_inputs(spec: PatternSpec, data: TableData) -> set[str | None]:
    """Return the columns that are no inputs: the target, the weight, and groups unless the recipe names their kind.

    A group of the test rows is one that training has not seen.
    """
    group = spec.split.group if spec.split.group not in data.columns else None
    return {*data.target, data.weight, group}


def _all_remarks(spec: PatternSpec, data: TableData, found: dict[str, ColumnFacts]) -> Iterator[str]:
    aside = _no_inputs(spec, data)
    if data.weight is not None:
        yield f"Rows count by their {data.weight} in the loss, the scores and the baselines."
    if (group := spec.split.group) is not None and group in aside:
        yield (
            f"{group} was left out: it names the groups that the split keeps together; keep it with "
            f"{ways_out.option(group, 'category')}."
        )
    for name, facts in found.items():
        if name not in aside:
            yield from _remarks(facts)


def _without_target(data: TableData, kept: NDArray[np.bool_]) -> Iterator[str]:
    if not kept.all():
        lacking = f"without a {' or '.join(data.target)}"
        yield f"{counted(int((~kept).sum()), f'row {lacking} was', f'rows {lacking} were')} left out."


def _check_named(spec: PatternSpec, data: TableData, frame: "pl.DataFrame") -> None:
    beside = {"data.weight": data.weight, "split.group": spec.split.group, "split.time": spec.split.time}
    for name in filter(None, (*data.target, *data.columns, *data.date_format, *beside.values())):
        if name not in frame.columns:
            raise DataError(f"{shortened_name(name)}: there is no such column; {unlike(name, frame.columns)}")
    for field, names in ({"data.target": data.target} | {field: (name,) for field, name in beside.items()}).items():
        for name in filter(None, names):
            if (type_name := type_left_out(frame[name])) is not None:
                raise DataError(
                    f"{field}: {shortened_name(name)} is of the type {type_name}, from which nothing can be learned"
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


def _input_kinds(data: TableData, found: dict[str, ColumnFacts], aside: set[str | None]) -> dict[str, Kind]:
    kinds = {name: facts.kind for name, facts in found.items() if name not in aside and facts.dropped is None}
    if not kinds and set(found) <= {*data.target}:
        raise DataError(
            "data.target: the table has no other column, and a prediction needs one at least to predict from"
        )
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


def _named(targets: Table, labels: Labels) -> Table:
    """Return the labels that numbers of a test table stand for: a file that has 1.10 alone is read as the number 1.1.

    Raises DataError where a number may be one of two.
    """
    (name, values), *_ = targets.columns.items()
    found: dict[str, str] = {}
    words = list(map(category_of, values.tolist()))
    for label in labels.names:
        word = category_of(label)
        if word in found and word in words:
            raise DataError(
                f"data.test: {shortened_name(name)} is a column of numbers there, and {shortened_name(word)} may be "
                f"the label {shortened_name(found[word])} or {shortened_name(label)}; write both tables in a format "
                "with types, such as Parquet, where the labels are texts"
            )
        found[word] = label
    named = [found.get(word, word) for word in words]
    return Table({name: column_of("category", named)})


def _known_numbers(targets: Table, labels: Labels) -> Array:
    """Return the numbers of the labels of test rows. Raises DataError where one is none of the training table."""
    (name, values), *_ = targets.columns.items()
    words = dict.fromkeys(_word(value) for value in values.tolist())
    unknown = [word for word in words if word not in labels.names]
    if unknown and labels.kind != "boolean":
        raise DataError(
            f"data.test: {len(unknown)} label(s) of {shortened_name(name)} are none of the training table: "
            f"{shortened(map(shortened_name, unknown), MOST_NAMED)}; take these rows out"
        )
    return _label_numbers(targets, labels)


def _numbers(data: TableData, found: dict[str, ColumnFacts], targets: Table) -> Array:
    """Return the targets of a regression, float64 (n_rows, n_outputs). Raises DataError if one cannot be learned."""
    for name in data.target:
        if found[name].kind not in ("number", "boolean"):
            raise DataError(
                f"data.target: {shortened_name(name)} is no column of numbers but of kind {found[name].kind}; "
                "labels are learned one column at a time, and not as a regression"
            )
    numbers = _finite_numbers(targets)
    if (numbers == numbers[0]).all(axis=0).any():
        raise DataError("data.target: a column has the same value in every row; there is nothing to learn")
    return numbers


def _finite_numbers(targets: Table) -> Array:
    """Return numbers as targets, float64 (n_rows, n_outputs). Raises DataError where one is too large."""
    numbers = np.stack([values.astype(np.float64) for values in targets.columns.values()], axis=1)
    if not (np.abs(numbers) < LARGEST_TARGET).all():
        raise DataError(f"data.target: a value is beyond {LARGEST_TARGET:g}; use a smaller unit, or leave the row out")
    return numbers


# -- what rows have beside inputs and targets ----------------------------------------------------------------------


def _weights(frame: "pl.DataFrame", name: str, kept: NDArray[np.bool_], field: str) -> Array:
    """Return how much each kept row counts, 1 in the mean, (n_kept,). Raises DataError where one has no weight."""
    try:
        weights = _numbers_beside(frame, name, "number")
    except TableError as error:
        raise DataError(f"{field}: {error}; a weight is a number above 0") from None
    wrong = kept & ~(weights > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        found = "no value" if np.isnan(weights[row]) else f"{weights[row]:g}"
        raise DataError(
            f"{field}: {shortened_name(name)} has {found} in data row {row + 1}; a weight is a number above 0, and "
            f"{int(wrong.sum())} row(s) have none: mend them, or take them out"
        )
    largest = weights[kept].max()
    relative = weights[kept] / largest  # so that no sum overflows
    return np.asarray(relative / relative.mean())


def _with_groups(
    rows: Rows, frame: "pl.DataFrame", name: str | None, spelling: Spelling, kept: NDArray[np.bool_]
) -> Rows:
    """Return the rows with the number of their group. Raises DataError where a row has none."""
    if name is None:
        return rows
    groups = inference.table_of(frame, {name: "category"}, spelling).columns[name]
    _check_present(~are_missing(groups) | ~kept, "group", name)
    _, numbers = np.unique(groups[kept], return_inverse=True)
    return replace(rows, groups=numbers)


def _with_times(
    rows: Rows, frame: "pl.DataFrame", name: str | None, kind: Kind | None, spelling: Spelling, kept: NDArray[np.bool_]
) -> Rows:
    """Return the rows with what they are ordered by. Raises DataError where that has no order, or a row has none."""
    if name is None or kind is None:
        return rows
    if kind not in ORDERED:
        raise DataError(
            f"split.time: {shortened_name(name)} is of kind {kind}, which has no order; it must be a date, a number, "
            "a time or a duration (data.columns says which)"
        )
    times = _numbers_beside(frame, name, kind, spelling)
    _check_present(~np.isnan(times) | ~kept, "time", name)
    return replace(rows, times=times[kept])


def _time_of(
    name: str | None, data: TableData, found: dict[str, ColumnFacts], spelling: Spelling
) -> tuple[Kind | None, Spelling]:
    """Return the kind of the column that rows are split by, and how it is written, also where it is left out."""
    if name is None:
        return None, spelling
    written = data.date_format.get(name)
    if written is None:
        return found[name].kind, spelling
    return kind_of_format(written), replace(spelling, formats={**spelling.formats, name: written})


def _numbers_beside(frame: "pl.DataFrame", name: str, kind: Kind, spelling: Spelling = PLAIN) -> Array:
    return inference.table_of(frame, {name: kind}, spelling).columns[name].astype(np.float64)


def _check_present(are_present: NDArray[np.bool_], field: str, name: str) -> None:
    if not are_present.all():
        row, n_missing = int(np.argmin(are_present)) + 1, int((~are_present).sum())
        raise DataError(
            f"split.{field}: {shortened_name(name)} has no value in data row {row}; rows are split by it, and "
            f"{n_missing} row(s) have none: fill it in, or take them out"
        )


# -- the split -----------------------------------------------------------------------------------------------------


def _parts(rows: Rows, split: Split, seed: int, own_test: Rows | None, *, are_labels: bool) -> "Parts":
    """Return training, validation and test rows; `own_test` are those of a table of their own."""
    everything = np.arange(len(rows))
    if own_test is None:
        rest, tested = cut(rows, everything, split, "test", seed, are_labels=are_labels)
        test = rows.take(tested)
    else:
        rest, test = everything, own_test
    if split.validation == 0:
        return rows.take(rest), None, test
    train, validation = cut(rows, rest, split, "validation", seed, are_labels=are_labels)
    return rows.take(train), rows.take(validation), test
