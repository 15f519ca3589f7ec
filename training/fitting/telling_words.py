"""The terms of a text that tell labels apart: chosen and weighted by how far their shares differ between labels.

As in Wang and Manning, "Baselines and Bigrams", 2012, on top of tf-idf; by the root of the log ratio of shares.
A training row is encoded by the weights of other rows: by its own label it would tell the network the answer.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Encoded
from models_store.encoding.texts import TextEncoder, inverse_frequencies
from models_store.tables.table import Values
from models_store.tables.words import terms_of


def by_label(encoder: TextEncoder, values: Values, numbers: NDArray[np.int_], n_labels: int) -> TextEncoder:
    """Return the encoder with weights by these rows and their labels; `numbers` (n_rows,) are the labels'."""
    (rows_with,) = _rows_with(encoder, values, numbers, n_labels, np.zeros(len(values), np.int64))
    return replace(encoder, weights=_weights(rows_with, len(values)))


def of_other_rows(
    encoder: TextEncoder, values: Values, numbers: NDArray[np.int_], n_labels: int, folds: NDArray[np.int64]
) -> Encoded:
    """Return the network inputs of training rows, float32 (n_rows, width), with weights by the rows of other folds.

    `folds` has the number of each row's fold, (n_rows,). Where all rows are of one, all weights are 0.
    """
    rows_with = _rows_with(encoder, values, numbers, n_labels, folds)
    of_all, encoded = rows_with.sum(axis=0), np.empty((len(values), encoder.width), np.float32)
    for fold, of_fold in enumerate(rows_with):
        is_in = folds == fold
        of_others = replace(encoder, weights=_weights(of_all - of_fold, int((~is_in).sum())))
        encoded[is_in] = of_others.encode(values[is_in])
    return encoded


def _rows_with(
    encoder: TextEncoder, values: Values, numbers: NDArray[np.int_], n_labels: int, folds: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the number of rows of each fold and label that have each word, (n_folds, n_labels, width)."""
    places = {term: place for place, term in enumerate(encoder.words)}
    rows_with = np.zeros((folds.max(initial=0) + 1, n_labels, len(places)), np.int32)
    for fold, number, text in zip(folds, numbers, values, strict=True):
        found = {places[term] for term in terms_of(text or "", encoder.terms) if term in places}
        rows_with[fold, number, [*found]] += 1
    return rows_with


def _weights(rows_with: NDArray[np.int32], n_rows: int) -> Array:
    """Return the weight of each word (width,), by the number of rows of each label with it (n_labels, width)."""
    # Each word once more than it is there, so that no ratio is of nothing.
    counts = rows_with + 1
    shares, of_others = (each / each.sum(axis=1, keepdims=True) for each in (counts, counts.sum(axis=0) - counts))
    ratios = np.abs(np.log(shares / of_others)).max(axis=0, initial=0.0)
    weights: Array = inverse_frequencies(rows_with.sum(axis=0), n_rows) * np.sqrt(ratios)
    return weights
