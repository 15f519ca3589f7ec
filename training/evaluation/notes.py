"""The notes on a card: sentences about one training that its reader should know before trusting it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.card import AnyScore, LabelScore, Measured
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.tables import ways_out
from models_store.tables.table import Raw, Table
from models_store.wording import counted, shortened, shortened_name
from training.data.dataset import Dataset
from training.evaluation.leakage import leaking_columns
from training.evaluation.verdict import plain
from training.fitting.progress import History
from training.recipe.data import FormulaData, TableData
from training.recipe.spec import PatternSpec

# Shares of rows above which there is a note: test rows outside the training region, test rows that are training rows,
# and rows of the most frequent label.
MANY_OUTSIDE, MANY_SEEN, MOST_OF_THEM = 0.1, 0.01, 0.8
FEW_TEST_ROWS = 100
# A network is clearly worse on new rows if its error there is so many times that on its training rows.
CLEARLY_WORSE = 1.5
# An error below this share of the targets' size is float32 rounding.
ROUNDING = 1e-6


def notes(
    spec: PatternSpec, data: Dataset, history: History, train: Measured, test: Measured, n_parameters: int
) -> list[str]:
    """Return the notes of a training. `train` and `test` are the scores on its card."""
    return [
        *_leakage(data, spec.seed),
        *data.remarks,
        *_outside(data, is_clearly_worse(data, train, test)),
        *_seen_before(data),
        *_recipe(spec, data),
        *_balance(data),
        *_few_rows(data),
        *_overfitting(history),
        *(_memorised(train, test, n_parameters) if isinstance(spec.data, TableData) else ()),
    ]


def encoding_notes(encoder: Encoder) -> Iterator[str]:
    """Yield how columns of many categories are told to the network."""
    columns = encoder.encoders if isinstance(encoder, TableEncoder) else {}
    for name, column in columns.items():
        if isinstance(column, CategoryEncoder) and column.means:
            yield (
                f"{shortened_name(name)} has {len(column.means)} categories; the network is told the mean target of "
                "the training rows of each, a training row that of other rows (data.categories: target-means)."
            )


def without_formula(lacking: Sequence[str]) -> Iterator[str]:
    """Yield what becomes of rows outside that a formula was to answer, where training found none of these outputs."""
    if lacking:
        yield (
            f"No formula was found for {shortened(lacking)}, so that none answers rows outside what training saw, as "
            "the recipe has it (outside: formula): the network answers them, and they are named."
        )


def is_lost_outside(data: Dataset, train: Measured, test: Measured) -> bool:
    """True if most test rows lie outside the region of the training rows, and the network is clearly worse there.

    False for tables: one that is split by time is tested as it will be used.
    """
    if isinstance(data.train.inputs, Table):
        return False
    return 2 * _n_outside(data) > len(data.test) and is_clearly_worse(data, train, test)


def is_clearly_worse(data: Dataset, train: Measured, test: Measured) -> bool:
    """True if the network is clearly worse on test rows than on its training rows, by more than rounding."""
    size = 1.0 if data.labels else float(np.abs(data.test.targets).max())
    return _error(test.overall) > max(CLEARLY_WORSE * _error(train.overall), ROUNDING * size)


def _n_outside(data: Dataset) -> int:
    return int(_beyond(np.asarray(data.train.inputs), np.asarray(data.test.inputs)).any(axis=1).sum())


def _outside(data: Dataset, is_worse: bool) -> Iterator[str]:
    train, test = data.train.inputs, data.test.inputs
    if isinstance(train, Table):
        assert isinstance(test, Table)
        yield from _columns_outside(train, test, is_worse)
    elif (n_outside := _n_outside(data)) > MANY_OUTSIDE * len(test):
        of_all = f"{n_outside} of {len(test)} test rows lie outside the region it was trained on"
        yield f"{of_all}; {_consequence(is_worse)}."


def _consequence(is_worse: bool) -> str:
    if is_worse:
        return "a network does not follow a curve beyond what it has seen, so expect its worst errors there"
    return "the test error is not clearly larger for it"


def _columns_outside(train: Table, test: Table, is_worse: bool) -> Iterator[str]:
    """Look at each column by itself: with many columns, most rows are outside the range of one of them."""
    for name, values in train.columns.items():
        if values.dtype != object and not np.isnan(values.astype(np.float64)).all():
            n_outside = int(_beyond(values.astype(np.float64), test.columns[name].astype(np.float64)).sum())
            if n_outside > MANY_OUTSIDE * len(test):
                of_all = f"{n_outside} of {len(test)} test rows have a {name} outside that of all training rows"
                yield f"{of_all}; {_consequence(is_worse)}."


def _beyond(train: Array, test: Array) -> NDArray[np.bool_]:
    return np.asarray((test < np.nanmin(train, axis=0)) | (test > np.nanmax(train, axis=0)))


def _seen_before(data: Dataset) -> Iterator[str]:
    if data.duplicates_dropped:
        dropped = counted(data.duplicates_dropped, "duplicate row was", "duplicate rows were")
        yield f"{dropped} dropped, so that no test row is a training row."
        return
    n_seen = int(np.isin(fingerprints(data.test.inputs), fingerprints(data.train.inputs)).sum())
    if n_seen and isinstance(data.train.inputs, np.ndarray):
        are = "is a training row" if n_seen == 1 else "are training rows"
        of_all = f"{n_seen} of {len(data.test)} test rows {are} as well"
        yield f"{of_all}, so the test error flatters; set data.unique: true."
    elif n_seen > MANY_SEEN * len(data.test):
        of_all = f"{n_seen} of {len(data.test)} test rows"
        yield f"{of_all} have the same inputs as a training row, so the test score may flatter."


def fingerprints(raw: Raw) -> NDArray[np.uint64]:
    """Return a hash of each row, uint64 (n_rows,): the same for the same values, and hardly ever for others."""
    prints = np.zeros(len(raw), dtype=np.uint64)
    for values in raw.columns.values() if isinstance(raw, Table) else raw.T:
        if values.dtype == object:
            cells = np.fromiter((hash(value) for value in values), dtype=np.int64, count=len(values)).view(np.uint64)
        else:
            cells = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
        # Multiplied by an odd number and folded, as splitmix64 does, so that two columns cannot cancel each other.
        prints = (prints ^ cells) * np.uint64(0x9E3779B97F4A7C15)
        prints ^= prints >> np.uint64(32)
    return prints


def _leakage(data: Dataset, seed: int) -> Iterator[str]:
    for name in leaking_columns(data, seed):
        tells = f"The column {name} alone tells {' and '.join(data.outputs)} almost without error"
        reason = "if that is the target in other words, or known only after it, leave it out"
        yield f"{tells}; {reason} ({ways_out.option(name, 'drop')}, or in a recipe {ways_out.field(name, 'drop')})."


def _recipe(spec: PatternSpec, data: Dataset) -> Iterator[str]:
    if spec.scaling.method == "none" and not isinstance(spec.data, TableData):
        yield "Nothing was scaled; with scaling learned from the training rows, fewer epochs usually do."
    if isinstance(spec.data, FormulaData) and len(data.train) < 20 * len(data.inputs) * len((*spec.network.layers, 1)):
        yield f"It has seen only {len(data.train)} training rows; more data usually helps more than more layers."


def _balance(data: Dataset) -> Iterator[str]:
    if data.labels is None:
        return
    counts = np.bincount(data.train.targets[:, 0].astype(int), minlength=len(data.labels.names))
    share = counts.max() / counts.sum()
    if share > MOST_OF_THEM:
        yield (
            f"{100 * share:.3g} % of the training rows are {data.labels.names[counts.argmax()]}, and always saying so "
            "would be that accurate; look at balanced accuracy, and try fit.class_weights: balanced."
        )


def _few_rows(data: Dataset) -> Iterator[str]:
    if isinstance(data.train.inputs, Table) and len(data.test) < FEW_TEST_ROWS:
        yield (
            f"It was tested on only {len(data.test)} rows: other ones may give quite another score; "
            "`patterns cross-validate` says how far they go apart."
        )


def _overfitting(history: History) -> Iterator[str]:
    """Judge the weights that were kept; the loss of later epochs does no harm."""
    val_loss, kept_epoch = history.val_loss, history.best_epoch
    if val_loss is None:
        return
    best = int(np.argmin(val_loss))
    if kept_epoch < len(val_loss):
        how = "It stopped after" if history.stopped_early else "It was fitted until"
        turned = ", where the validation loss turned" if kept_epoch == best + 1 else ""
        yield f"{how} epoch {len(val_loss)}; the weights of epoch {kept_epoch} were kept{turned}."
    elif val_loss[kept_epoch - 1] > 1.1 * val_loss[best]:
        yield (
            f"It over-fits: the validation loss was lowest at epoch {best + 1} and has risen since; "
            "fit.early_stopping would have kept those weights."
        )


def _memorised(train: Measured, test: Measured, n_parameters: int) -> Iterator[str]:
    if _error(test.overall) > CLEARLY_WORSE * _error(train.overall):
        yield (
            f"It knows its own {train.rows} training rows better than others: {_said(train.overall)} there, "
            f"{_said(test.overall)} on test rows. With {n_parameters} parameters it has room for that; fewer units, "
            "more dropout, or more rows may help."
        )


def _error(score: AnyScore) -> float:
    return 1 - score.accuracy if isinstance(score, LabelScore) else score.rmse


def _said(score: AnyScore) -> str:
    return f"accuracy {score.accuracy:.4g}" if isinstance(score, LabelScore) else f"RMSE {plain(score.rmse)}"
