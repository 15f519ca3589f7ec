"""Words weigh the more, the more their share differs between labels."""

import numpy as np
import pytest

from models_store.encoding.texts import TextEncoder
from training.fitting.telling_words import by_label

TEXTS = np.array(["good film", "good story", "poor film", "poor story", None], object)


@pytest.mark.parametrize("numbers", [[0, 0, 1, 1, 1], [0, 0, 1, 2, 1]])
def test_words_that_tell_labels_apart_weigh_more(numbers: list[int]) -> None:
    encoder = by_label(TextEncoder.fit(TEXTS, weighting="tf-idf"), TEXTS, np.array(numbers), max(numbers) + 1)
    weights = dict(zip(encoder.words, encoder.weights.tolist(), strict=True))
    assert weights["good"] > weights["film"]
    assert all(weight >= 0 for weight in weights.values())


def test_a_text_without_telling_words_has_inputs_of_0() -> None:
    encoder = by_label(TextEncoder.fit(TEXTS, weighting="tf-idf"), TEXTS, np.array([0, 1, 0, 1, 0]), 2)
    assert encoder.encode(np.array(["unheard"], object)).tolist() == [[0.0] * 4]
