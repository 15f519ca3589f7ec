"""The parts of a card beside its scores: summaries of the columns, and test rows with their answers."""

from itertools import islice
from typing import Any

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Evaluation
from models_store.card import Column, Gap, Value
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.outputs import Decoder, LabelDecoder
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.encoding.texts import TextEncoder
from models_store.tables.table import Kind, Table, Values, to_json, written
from models_store.tables.words import is_word
from training.data.dataset import Dataset, Rows
from training.data.subsample import Indices, subsample
from training.evaluation.baselines import Beside
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

MOST_GAPS = 10
MOST_EVALUATED, MOST_EVALUATED_ANSWERS = 2000, 100_000
MOST_CATEGORIES, MOST_WORDS = 50, 20
LONGEST_TEXT = 200
# Decimals of a probability; more than a plot shows.
DIGITS = 6


def input_columns(data: Dataset, encoder: Encoder) -> list[Column]:
    """Summarise the inputs of the training rows: ranges, or the most frequent categories and words, in this order."""
    inputs = data.train.inputs
    if not isinstance(inputs, Table):
        return _ranges(data.inputs, inputs)
    assert isinstance(encoder, TableEncoder)
    columns = [_column(name, kind, inputs.columns[name], _frequent(encoder, name)) for name, kind in data.kinds.items()]
    return [column.model_copy(update={"fill": _fill(encoder, column)}) for column in columns]


def _fill(encoder: TableEncoder, column: Column) -> Value | None:
    fill = encoder.fills.get(column.name)
    if fill is None or isinstance(fill, str):
        return fill
    return bool(fill) if column.kind == "boolean" else written(column.kind, fill)


def output_columns(data: Dataset, decoder: Decoder) -> list[Column]:
    """Summarise the targets of the training rows: ranges, or all labels as they stood in the data."""
    if not isinstance(decoder, LabelDecoder):
        return _ranges(data.outputs, data.train.targets)
    kinds: dict[str, Kind] = {"text": "category", "number": "number", "boolean": "boolean"}
    return [Column(name=decoder.column, kind=kinds[decoder.kind], values=decoder.values.tolist())]


def _ranges(names: tuple[str, ...], rows: Array) -> list[Column]:
    lowest, highest = rows.min(axis=0), rows.max(axis=0)
    return [
        Column(name=name, minimum=float(low), maximum=float(high))
        for name, low, high in zip(names, lowest, highest, strict=True)
    ]


def _column(name: str, kind: Kind, values: Values, frequent: list[Value]) -> Column:
    if kind in ("category", "text"):
        return Column(name=name, kind=kind, values=frequent, missing=sum(value is None for value in values))
    numbers = values.astype(np.float64)
    seen = numbers[~np.isnan(numbers)]
    facts: dict[str, Any] = {"name": name, "kind": kind, "missing": len(numbers) - len(seen)}
    if not len(seen):
        return Column(**facts)
    if kind == "boolean":
        return Column(**facts, values=[bool(value) for value in np.unique(seen)])
    lowest, highest = float(seen.min()), float(seen.max())
    return Column(**facts, minimum=written(kind, lowest), maximum=written(kind, highest))


def _frequent(encoder: TableEncoder, name: str) -> list[Value]:
    match encoder.encoders[name]:
        case CategoryEncoder(values=values):
            return [*values[:MOST_CATEGORIES]]
        case TextEncoder(words=words):
            return [*islice(filter(is_word, words), MOST_WORDS)]
    return []


def gaps(answers: Array, rows: Rows, data: Dataset, decoder: Decoder) -> list[Gap]:
    """Return the first test rows with answer, target and difference: `answers` float64 (n_rows, n_outputs), raw.

    Of labels, `answers` are probabilities (n_rows, n_labels), and the difference is 1 - p of the right label.
    """
    answers, rows = answers[:MOST_GAPS], rows.take(slice(MOST_GAPS))
    inputs = [[_shortened(cell) for cell in row] for row in to_json(rows.inputs, data.kinds)]
    if isinstance(decoder, LabelDecoder):
        numbers = rows.targets[:, 0].astype(int)
        said = decoder.values[answers.argmax(axis=1)].reshape(-1, 1).tolist()
        right = decoder.values[numbers].reshape(-1, 1).tolist()
        lacking = (1.0 - answers[np.arange(len(numbers)), numbers]).round(DIGITS).reshape(-1, 1).tolist()
    else:
        said, right, lacking = answers.tolist(), rows.targets.tolist(), (answers - rows.targets).tolist()
    return [
        Gap(inputs=cells, predicted=predicted, label=label, gap=gap)
        for cells, predicted, label, gap in zip(inputs, said, right, lacking, strict=True)
    ]


def _shortened(cell: float | bool | str | None) -> Value | None:
    is_long = isinstance(cell, str) and len(cell) > LONGEST_TEXT
    return f"{str(cell)[: LONGEST_TEXT - 1]}…" if is_long else cell


def evaluated(spec: PatternSpec, n_rows: int, n_answers: int) -> Indices:
    """Return which test rows are kept with their answers: as many as plots and comparisons need.

    Where test rows lie as a file has them, in the order of time say, those that are kept are drawn: else the first ones
    are a random draw already. Recipes with the same test rows draw the same ones.
    """
    most = min(MOST_EVALUATED, max(MOST_GAPS, MOST_EVALUATED_ANSWERS // n_answers))
    own = isinstance(spec.data, TableData) and spec.data.test is not None
    is_ordered = own or spec.split.group is not None or spec.split.time is not None or not spec.split.shuffle
    return subsample(n_rows, most, 0) if is_ordered else slice(most)


def evaluation(
    spec: PatternSpec,
    answers: Array,
    rows: Rows,
    data: Dataset,
    others: Beside | None = None,
    spread: Array | None = None,
) -> Evaluation:
    """Return answers and targets of those test rows that are kept, and what `others` answer to them.

    `spread` is that of the network's members, (n_rows, n_answers). Of labels, the answers are probabilities rounded to
    six decimals, and the targets the numbers of the labels.
    """
    shown = evaluated(spec, *answers.shape)

    def written(answers: Array) -> list[list[float]]:
        kept: list[list[float]] = (answers[shown] if data.labels is None else answers[shown].round(DIGITS)).tolist()
        return kept

    # Where others were asked only some of the rows, these are not the first ones.
    were_all_asked = others is not None and len(others.rows) == len(rows)
    return Evaluation(
        written(answers),
        rows.targets[shown].tolist(),
        {name: written(theirs) for name, theirs in others.answers.items()} if others and were_all_asked else {},
        [] if spread is None else written(spread),
        [] if rows.weights is None else rows.weights[shown].tolist(),
        [] if rows.groups is None else rows.groups[shown].tolist(),
    )
