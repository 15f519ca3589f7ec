"""Encoder and decoder of a recipe, learned from training rows alone, so that validation and test rows stay unseen."""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

import numpy as np

from models_store.arrays import Array, Encoded
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.dates import DateEncoder
from models_store.encoding.numbers import BooleanEncoder, NumberEncoder
from models_store.encoding.outputs import Decoder, LabelDecoder, OutputDecoder
from models_store.encoding.pairs import DIRECTIONS, PairEncoder
from models_store.encoding.rows import Encoder, InputEncoder, TableEncoder, monomials
from models_store.encoding.scaler import Scaler
from models_store.encoding.texts import TextEncoder
from models_store.encoding.times import DurationEncoder, TimeEncoder
from models_store.tables.table import Kind, Table, Values
from models_store.wording import shortened_name
from training.data.dataset import DataError, Dataset
from training.data.splits import dealt
from training.fitting import target_means, telling_words
from training.fitting.logarithms import logarithm_of
from training.fitting.pairs import clear_pair
from training.fitting.texts import labels_that_weight, text_encoder
from training.recipe.data import TableData
from training.recipe.fit import LossName
from training.recipe.spec import MOST_INPUT_FEATURES, MOST_NUMBERS, PatternSpec

# Training rows for each piece of a number's piecewise linear encoding; there are 4 pieces to 32.
ROWS_A_PIECE, ROWS_A_PIECE_OF_LABELS, ROWS_A_PIECE_OF_ONE_NETWORK = 150, 300, 50
FEWEST_PIECES, MOST_PIECES = 4, 32
IN_PIECES: frozenset[Kind] = frozenset({"number", "time", "duration"})
# Encoded numbers of all training rows (128 MB of float32) up to which `numbers: auto` means piecewise.
MOST_IN_PIECES = 1 << 25
# Words make wider network inputs than the monomials of a formula do.
MOST_TABLE_FEATURES = 20 * MOST_INPUT_FEATURES
# Sums and differences of larger numbers may overflow float64; up to here every offset, scale and edge is finite.
LARGEST_INPUT = 1e300


def encoders(spec: PatternSpec, data: Dataset, loss: LossName) -> tuple[Encoder, Decoder]:
    """Return the encoder of inputs and the decoder of outputs, learned from the training rows.

    Raises DataError where the encoded rows would be too many to hold, or a value is too large to be scaled.
    """
    inputs = data.train.inputs
    if isinstance(inputs, Table):
        assert isinstance(spec.data, TableData)
        return table_encoder(spec, spec.data, data, inputs), _decoder(spec, data, loss, None)
    degree, dtype = spec.network.polynomial_degree, spec.network.dtype
    scaler = Scaler.fit(spec.scaling.method, _monomials(data, inputs, degree), spec.scaling.scope)
    return InputEncoder(data.inputs, degree, scaler, dtype), _decoder(spec, data, loss, scaler)


def _monomials(data: Dataset, inputs: Array, degree: int) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        found = monomials(inputs, degree)
    if _are_within(found):
        return found
    for name, column in zip(data.inputs, inputs.T, strict=True):
        if not _are_within(column):
            raise DataError(
                f"data.inputs.{name}: a training row has a value beyond {LARGEST_INPUT:g}; draw from a smaller region"
            )
    raise DataError(
        f"network.polynomial_degree: products of {degree} inputs are beyond {LARGEST_INPUT:g} in the training rows; "
        "lower the degree, or draw the inputs from a smaller region"
    )


def _are_within(numbers: Array) -> bool:
    """True if no number is beyond LARGEST_INPUT, and none is NaN. Copies nothing: there may be gigabytes."""
    return bool(numbers.min() >= -LARGEST_INPUT and numbers.max() <= LARGEST_INPUT)


def table_encoder(spec: PatternSpec, recipe: TableData, data: Dataset, rows: Table) -> TableEncoder:
    """Return one encoder for each input column, learned from `rows`.

    Raises DataError where a number is too large, or the network would have too many inputs, or none.
    """
    bins = bins_of(spec, recipe, data)
    for name, kind in data.kinds.items():
        if kind == "number" and (np.abs(rows.columns[name].astype(np.float64)) > LARGEST_INPUT).any():
            raise DataError(
                f"data.dataset: {shortened_name(name)} has a value beyond {LARGEST_INPUT:g}; "
                "drop the column in data.columns"
            )
    found = {
        name: _column_encoder(kind, rows.columns[name], spec, recipe, data, bins) for name, kind in data.kinds.items()
    }
    targets = target_means.targets_of(data.labels, data.train.targets)
    for name in columns_with_means(recipe, data.kinds, rows):
        found[name] = target_means.with_means(CategoryEncoder.fit(rows.columns[name]), rows.columns[name], targets)
    complete = [name for name, column in found.items() if not column.takes_missing] if spec.missing == "fill" else []
    fills = {name: _fill(data.kinds[name], rows.columns[name]) for name in complete}
    pairs = tuple(
        PairEncoder.fit(pair, (rows.columns[pair[0]], rows.columns[pair[1]]), bins) for pair in pairs_of(spec, data)
    )
    encoder = TableEncoder(found, spec.network.dtype, data.spelling, fills, pairs)
    if encoder.n_inputs == 0:
        raise DataError(
            "data.dataset: all inputs are texts, and no word is in two training rows, so that nothing can be learned; "
            "add a column, or rows, or name another kind of the texts in data.columns"
        )
    if encoder.n_inputs > MOST_TABLE_FEATURES or encoder.n_inputs * len(rows) > MOST_NUMBERS:
        raise DataError(
            f"data.dataset: {len(rows)} training rows become {encoder.n_inputs} network inputs each; "
            f"{MOST_TABLE_FEATURES} a row and {MOST_NUMBERS} in all are the most; lower data.words, or drop columns"
        )
    return encoder


def pairs_of(spec: PatternSpec, data: Dataset) -> tuple[tuple[str, str], ...]:
    """Return the pairs of columns that are encoded together: the recipe's own, or the one that is clear.

    Raises DataError where the recipe names a column that is no number.
    """
    recipe, rows = spec.data, data.train.inputs
    assert isinstance(recipe, TableData) and isinstance(rows, Table)
    if recipe.pairs != "auto":
        for name in chain.from_iterable(recipe.pairs):
            if data.kinds.get(name) != "number":
                raise DataError(f"data.pairs: {shortened_name(name)} is no column of numbers among the inputs")
        return recipe.pairs
    bins = bins_of(spec, recipe, data)
    n_numbers = len(DIRECTIONS) + sum(kind in IN_PIECES for kind in data.kinds.values())
    if bins == 0 or len(rows) * n_numbers * bins > MOST_IN_PIECES:
        return ()
    targets = data.train.targets
    one_hot = targets == np.arange(len(data.labels.names)) if data.labels else targets
    pair = clear_pair(rows, data.kinds, one_hot.astype(np.float64), spec.seed)
    return () if pair is None else (pair,)


def columns_with_means(recipe: TableData, kinds: Mapping[str, Kind], rows: Table) -> list[str]:
    """Return the columns of categories whose values are told by the targets of their training rows as well."""
    if recipe.categories == "one-hot":
        return []
    names = [name for name, kind in kinds.items() if kind == "category"]
    return [name for name in names if recipe.categories == "target-means" or target_means.are_many(rows.columns[name])]


def training_inputs(spec: PatternSpec, encoder: Encoder, data: Dataset) -> Encoded:
    """Return the network inputs of the training rows, of which none is told its own target; the seed draws the folds.

    Nor is it told those of its group, where rows are split by group, because rows of new groups are not either.
    """
    rows = data.train.inputs
    encoded = encoder.encode(rows)
    if not isinstance(encoder, TableEncoder) or not isinstance(rows, Table):
        return encoded
    assert isinstance(spec.data, TableData)
    labels = labels_that_weight(spec.data, data)
    targets = target_means.targets_of(data.labels, data.train.targets)
    folds = dealt(data.train, target_means.FOLDS, spec.seed, are_labels=data.labels is not None)
    end = 0
    for name, column in encoder.encoders.items():
        start, end = end, end + column.width
        values = rows.columns[name]
        if isinstance(column, CategoryEncoder) and column.means:
            encoded[:, end - column.n_means : end] = target_means.of_other_rows(values, targets, folds)
        elif isinstance(column, TextEncoder) and labels is not None:
            encoded[:, start:end] = telling_words.of_other_rows(column, values, *labels, folds)
    return encoded


def _fill(kind: Kind, values: Values) -> float | str:
    """Return what stands in for a missing value of a column that has none: the median, or the most frequent value."""
    match kind:
        case "number":
            return float(np.median(values.astype(np.float64)))
        case "boolean":
            return float(values.astype(np.float64).mean() >= 0.5)
        case "category":
            counts = Counter(values.tolist())
            return str(min(counts, key=lambda value: (-counts[value], value)))
        case "text":
            return ""
    # A moment that occurs: one between two of them would be of no use to a reader of the card.
    return float(np.sort(values.astype(np.float64))[(len(values) - 1) // 2])


def bins_of(spec: PatternSpec, recipe: TableData, data: Dataset) -> int:
    """Return the pieces of a number's encoding, by the training rows; 0: numbers are scaled only."""
    if recipe.numbers == "scaled":
        return 0
    n_rows = len(data.train)
    by_rows = min(max(n_rows // _rows_a_piece(spec, data), FEWEST_PIECES), MOST_PIECES)
    bins = by_rows if recipe.bins == "auto" else recipe.bins
    n_numbers = sum(kind in IN_PIECES for kind in data.kinds.values())
    return 0 if recipe.numbers == "auto" and n_rows * n_numbers * bins > MOST_IN_PIECES else bins


def _rows_a_piece(spec: PatternSpec, data: Dataset) -> int:
    """A label tells less than a number. Networks of one keep the encoding of earlier releases."""
    if spec.network.most_members == 1:
        return ROWS_A_PIECE_OF_ONE_NETWORK
    return ROWS_A_PIECE_OF_LABELS if data.labels else ROWS_A_PIECE


def _column_encoder(
    kind: Kind, values: Values, spec: PatternSpec, recipe: TableData, data: Dataset, bins: int
) -> ColumnEncoder:
    match kind:
        case "number":
            return NumberEncoder.fit(values, spec.scaling.method, bins)
        case "boolean":
            return BooleanEncoder.fit(values)
        case "date":
            return DateEncoder.fit(values)
        case "time":
            return TimeEncoder.fit(values, spec.scaling.method, bins)
        case "duration":
            return DurationEncoder.fit(values, spec.scaling.method, bins)
        case "category":
            return CategoryEncoder.fit(values)
        case "text":
            return text_encoder(values, recipe, data)


def _decoder(spec: PatternSpec, data: Dataset, loss: LossName, shared: Scaler | None) -> Decoder:
    if data.labels is not None:
        is_one_hot = loss == "categorical_crossentropy"
        return LabelDecoder(data.outputs[0], data.labels.names, data.labels.kind, is_one_hot, spec.network.dtype)
    targets = data.train.targets
    logarithm = logarithm_of(targets, data.outputs) if spec.scaling.targets == "log" else None
    learned = targets if logarithm is None else logarithm.transform(targets)
    return OutputDecoder(data.outputs, _output_scaler(spec, learned, shared), spec.network.dtype, logarithm)


def _output_scaler(spec: PatternSpec, outputs: Array, shared: Scaler | None) -> Scaler:
    match spec.scaling.outputs:
        case "shared" if shared is not None:
            return shared.shared_with(outputs.shape[1])
        case "none":
            return Scaler.identity(outputs.shape[1])
    return Scaler.fit(spec.scaling.method, outputs, spec.scaling.scope)
