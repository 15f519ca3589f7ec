"""Weights of the words of a text: the more, the more their share differs between labels.

As in Wang and Manning, "Baselines and Bigrams", 2012, on top of tf-idf; by the root of the log ratio of shares.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models_store.encoding.texts import TextEncoder
from models_store.tables.table import Values
from models_store.tables.words import words_of


def by_label(encoder: TextEncoder, values: Values, numbers: NDArray[np.int_], n_labels: int) -> TextEncoder:
    """Return the encoder with its weights times those of these rows' labels; `numbers` (n_rows,) are the labels'."""
    places = {word: place for place, word in enumerate(encoder.words)}
    # Each word once more than it is there, so that no ratio is of nothing.
    rows_with = np.ones((n_labels, len(places)))
    for number, text in zip(numbers, values, strict=True):
        found = {places[word] for word in words_of(text or "") if word in places}
        rows_with[number, [*found]] += 1
    shares, of_others = (
        counts / counts.sum(axis=1, keepdims=True) for counts in (rows_with, rows_with.sum(axis=0) - rows_with)
    )
    ratios = np.abs(np.log(shares / of_others)).max(axis=0, initial=0.0)
    return replace(encoder, weights=encoder.weights * np.sqrt(ratios))
