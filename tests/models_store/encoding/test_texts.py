"""Texts as network inputs: one a word."""

import numpy as np

from models_store.encoding.texts import TextEncoder, n_words
from models_store.tables.table import column_of


def test_a_text_is_its_words() -> None:
    texts = column_of("text", ["Tea, tea!", "a cup of tea", "a cup", None])
    encoder = TextEncoder.fit(texts)
    assert encoder.words == ("a", "cup", "tea")
    assert encoder.encode(texts).tolist() == [[0, 0, 1], [1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert encoder.unknown(column_of("text", ["TEA?", "coffee", "", None])).tolist() == [False, True, True, False]


def test_weighed_words_make_rows_of_length_one_and_rare_ones_weigh_more() -> None:
    texts = column_of("text", ["tea a", "tea", "tea a", "tea"])
    encoder = TextEncoder.fit(texts, weighting="tf-idf")
    tea, a = encoder.encode(texts)[0]
    assert (encoder.words, a > tea) == (("tea", "a"), True)
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(texts), axis=1), 1, rtol=1e-6)


def test_words_are_counted_as_an_encoder_would_learn_them_up_to_a_number() -> None:
    texts = column_of("text", ["a b b c", "a b", None, "c a", "d d d"])
    assert n_words(texts, 10) == TextEncoder.fit(texts).width == 3
    assert n_words(texts, 2) == 2


def test_pairs_of_neighbours_tell_orders_of_words_apart() -> None:
    texts = column_of("text", ["not good but bad", "not good but bad", "bad"])
    encoder = TextEncoder.fit(texts, terms="words-and-pairs")
    assert encoder.words == ("bad", "but", "but bad", "good", "good but", "not", "not good")
    good, bad = encoder.encode(column_of("text", ["not bad but good", "not good but bad"]))
    assert (good.sum(), bad.sum()) == (4, 7)
    assert encoder.decode(encoder.encode(texts))[0] == "bad but good not"
    assert encoder.unknown(column_of("text", ["good", "none"])).tolist() == [False, True]


def test_words_of_one_beginning_share_an_input() -> None:
    encoder = TextEncoder.fit(column_of("text", ["wonderful", "wonders"]), terms="words-and-pairs")
    assert encoder.words == ("wonde-",)
    assert encoder.encode(column_of("text", ["wonder", "won"])).tolist() == [[1], [0]]


def test_words_alone_are_written_as_earlier_releases_wrote_them() -> None:
    saved = TextEncoder.fit(column_of("text", ["tea", "tea"])).to_dict()
    assert saved.keys() == {"kind", "words", "weights", "weighting", "takes_missing"}
    assert TextEncoder.from_dict(saved).terms == "words"
