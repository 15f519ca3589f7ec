"""Words weigh the more, the more their share differs between labels, and no row is told its own label."""

from typing import get_args

import numpy as np
import pytest

from models_store.encoding.rows import TableEncoder
from models_store.encoding.texts import TextEncoder
from models_store.tables.table import Table, Values, column_of
from models_store.tables.words import Terms
from training.data.dataset import Dataset, Labels, Rows
from training.data.splits import dealt
from training.fitting.encoders import encoders, training_inputs
from training.fitting.telling_words import by_label, of_other_rows
from training.recipe.spec import PatternSpec

TEXTS = np.array(["good film", "good story", "poor film", "poor story", None], object)
N_ROWS = 400
FOLDS = np.random.default_rng(7).integers(0, 5, N_ROWS)


def noise() -> tuple[Values, np.ndarray]:
    """Texts of twenty of 1000 words, and the numbers of labels that have nothing to do with them."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{word}" for word in row) for row in rng.integers(0, 1000, (N_ROWS, 20))]
    return column_of("text", texts), rng.permutation(N_ROWS) % 2


def dataset(values: Values, numbers: np.ndarray) -> Dataset:
    rows = Rows(Table({"told": values}), numbers[:, None].astype(np.float64))
    return Dataset({"told": "text"}, ("y",), rows, None, rows, labels=Labels(("down", "up"), "text"))


def spec(terms: Terms = "words", **fields: object) -> PatternSpec:
    data = {"kind": "table", "dataset": "0" * 32, "target": "y", "terms": terms}
    return PatternSpec.parse({"name": "p", "data": data, "seed": 3, **fields})


@pytest.mark.parametrize("numbers", [[0, 0, 1, 1, 1], [0, 0, 1, 2, 1]])
def test_words_that_tell_labels_apart_weigh_more(numbers: list[int]) -> None:
    encoder = by_label(TextEncoder.fit(TEXTS, weighting="tf-idf"), TEXTS, np.array(numbers), max(numbers) + 1)
    weights = dict(zip(encoder.words, encoder.weights.tolist(), strict=True))
    assert weights["good"] > weights["film"]
    assert all(weight >= 0 for weight in weights.values())


def test_a_text_without_telling_words_has_inputs_of_0() -> None:
    encoder = by_label(TextEncoder.fit(TEXTS, weighting="tf-idf"), TEXTS, np.array([0, 1, 0, 1, 0]), 2)
    assert encoder.encode(np.array(["unheard"], object)).tolist() == [[0.0] * 4]


@pytest.mark.parametrize("terms", get_args(Terms))
def test_no_training_row_is_told_its_own_label(terms: Terms) -> None:
    values, numbers = noise()
    encoder = TextEncoder.fit(values, weighting="tf-idf", terms=terms)
    changed = numbers.copy()
    changed[5] = 1 - changed[5]
    before, after = (of_other_rows(encoder, values, each, 2, FOLDS) for each in (numbers, changed))
    same_fold = np.equal(FOLDS, FOLDS[5])
    assert before[same_fold].tolist() == after[same_fold].tolist()
    assert not np.array_equal(before[~same_fold], after[~same_fold])
    data = dataset(values, numbers)
    fitted, _ = encoders(spec(terms), data, "binary_crossentropy")
    told = training_inputs(spec(terms), fitted, data)
    folds = dealt(data.train, 5, 3, are_labels=True)
    np.testing.assert_array_equal(told, of_other_rows(encoder, values, numbers, 2, folds))
    assert isinstance(fitted, TableEncoder)
    assert fitted.encoders["told"].to_dict() == by_label(encoder, values, numbers, 2).to_dict()
    assert np.abs(told - fitted.encode(data.train.inputs)).max() > 0.1


def test_rows_of_one_fold_alone_are_told_nothing() -> None:
    values, numbers = noise()
    encoder = TextEncoder.fit(values, weighting="tf-idf")
    assert not of_other_rows(encoder, values, numbers, 2, np.zeros(N_ROWS, int)).any()


@pytest.mark.keras
def test_labels_that_are_noise_are_answered_out_of_fold_by_chance() -> None:
    from training.fitting.learn import Runtime, learn  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.fitting.progress import Progress

    rate = {"name": "adam", "learning_rate": 0.01}
    network = {"layers": [{"units": 8}], "members": 4}
    recipe = spec(network=network, fit={"epochs": 5, "batch_size": 32, "optimizer": rate})
    values, numbers = noise()
    found = learn(recipe, dataset(values, numbers), Runtime("cpu", Progress(), Programs())).out_of_fold
    assert found is not None
    accuracy = (found.answers.argmax(axis=1) == found.targets[:, 0]).mean()
    assert abs(accuracy - 0.5) < 3 * np.sqrt(0.25 / N_ROWS)
