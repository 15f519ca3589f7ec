"""How columns of texts are encoded: what of a recipe is left to the training rows, and the encoder."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models_store.encoding.texts import TextEncoder, Weighting, n_words
from models_store.tables.table import Table, Values
from models_store.tables.words import Terms
from training.data.dataset import DataError, Dataset
from training.data.subsample import subsample
from training.fitting import telling_words
from training.recipe.data import TableData
from training.recipe.fit import MANY_WORDS

# Rows whose words are counted: many times as many as it takes to meet each of a short text's words.
MOST_READ = 10_000


def has_many_words(recipe: TableData, data: Dataset) -> bool:
    """True if words of texts are more than MANY_WORDS inputs, by up to MOST_READ of the training rows."""
    rows = data.train.inputs
    if not isinstance(rows, Table) or "text" not in data.kinds.values():
        return False
    some = rows.take(subsample(len(rows), MOST_READ, seed=0))
    texts = [some.columns[name] for name, kind in data.kinds.items() if kind == "text"]
    most = min(recipe.words, MANY_WORDS + 1)
    return sum(n_words(values, most) for values in texts) > MANY_WORDS


def weighting_of(recipe: TableData, data: Dataset) -> Weighting | Literal["by-label"]:
    """Return how words are weighted. Raises DataError where labels are to weight them, and the target is numbers."""
    if recipe.weighting == "auto":
        return "by-label" if data.labels else "multi-hot"
    if recipe.weighting == "by-label" and data.labels is None:
        raise DataError("data.weighting: by-label needs labels, and the target is numbers; try tf-idf")
    return recipe.weighting


def terms_of(recipe: TableData, data: Dataset) -> Terms:
    """Return what is counted of texts. Raises what `weighting_of` raises."""
    if recipe.terms != "auto":
        return recipe.terms
    # Few words have few pairs that more than a handful of rows have.
    weighs = weighting_of(recipe, data) == "by-label" and has_many_words(recipe, data)
    return "words-and-pairs" if weighs else "words"


def text_encoder(values: Values, recipe: TableData, data: Dataset) -> TextEncoder:
    """Return the encoder of a column of texts, learned from the training rows. Raises what `weighting_of` raises."""
    labels = labels_that_weight(recipe, data)
    weighting: Weighting = "multi-hot" if weighting_of(recipe, data) == "multi-hot" else "tf-idf"
    encoder = TextEncoder.fit(values, recipe.words, weighting, terms_of(recipe, data))
    return encoder if labels is None else telling_words.by_label(encoder, values, *labels)


def labels_that_weight(recipe: TableData, data: Dataset) -> tuple[NDArray[np.int_], int] | None:
    """Return the number of the label of each training row, and how many labels there are; None: they weight no words.

    Raises what `weighting_of` raises.
    """
    if weighting_of(recipe, data) != "by-label" or data.labels is None:
        return None
    return data.train.targets[:, 0].astype(int), len(data.labels.names)
