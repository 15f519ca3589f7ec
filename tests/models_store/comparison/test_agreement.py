"""How far two versions' answers are apart: numbers of each output in raw units, labels and their probabilities."""

from dataclasses import replace

import numpy as np
import pytest

from models_store.bundle import Bundle
from models_store.comparison.agreement import Agreement
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.errors import NotComparable
from models_store.tables.table import Table, take
from tests.app.over_http import fork, pair
from tests.fakes import line, rows
from tests.table_fakes import flowers, messages, passengers, rents


def found(first: Bundle, other: Bundle, raw: object) -> dict[str, dict[str, float]]:
    agreement = Agreement.between(first, other)
    assert isinstance(raw, np.ndarray | Table)
    sums = agreement.sums(first.predict(raw), other.predict(agreement.rows(raw)))
    assert len(sums) == agreement.n_sums
    return agreement.to_json(sums)


def test_numbers_differ_in_raw_units() -> None:
    assert found(line(2), line(3), rows(1, -2)) == {
        "y": {"rmse": pytest.approx(2.5**0.5), "mae": pytest.approx(1.5), "bias": pytest.approx(-0.5)}
    }


def test_sums_of_several_processes_are_added() -> None:
    agreement = Agreement.between(line(2), line(3))
    sums = [agreement.sums(raw * 2, raw * 3) for raw in (rows(1), rows(-2))]
    assert agreement.to_json(sums[0] + sums[1]) == found(line(2), line(3), rows(1, -2))
    assert agreement.to_json(np.zeros(agreement.n_sums)) == {}


def test_columns_and_outputs_are_found_by_name() -> None:
    first, raw = pair(), np.array([[1.0, 2.0], [4.0, 8.0]])
    predictor = first.predictor
    assert isinstance(predictor.encoder, InputEncoder) and isinstance(predictor.decoder, OutputDecoder)
    encoder = replace(predictor.encoder, columns=("x2", "x1"))
    decoder = replace(predictor.decoder, columns=("y2", "y1"))
    kinds = first.card.model_copy(update={"inputs": first.card.inputs[::-1], "outputs": first.card.outputs[::-1]})
    other = replace(first, predictor=replace(predictor, encoder=encoder, decoder=decoder), card=kinds)
    # It takes x1 for x2, and calls its first answer y2: y1 = x2 - x1, y2 = x2 + 2·x1.
    apart = found(first, other, raw)
    assert apart["y1"]["bias"] == pytest.approx(np.mean([(2 - 1) - (1 + 4), (8 - 4) - (4 + 16)]))
    assert apart["y2"]["bias"] == pytest.approx(np.mean([(2 + 2) - (1 - 2), (8 + 8) - (4 - 8)]))


def test_labels_agree_or_not_whatever_their_order() -> None:
    first = flowers()
    asked = first.golden_inputs
    same = found(first, flowers(), asked)
    assert same == {"species": {"agreement": 1.0, "distance": pytest.approx(0)}}
    # The same probabilities under other names: the label changes place, and one is new.
    other = flowers(labels=("versicolor", "setosa", "lily"))
    answers = first.predict(asked)
    expected = np.array([np.abs(a[0] - a[1]) + np.abs(a[1] - a[0]) + a[2] + a[2] for a in answers]) / 2
    apart = found(first, other, asked)
    assert apart["species"]["distance"] == pytest.approx(expected.mean())
    assert apart["species"]["agreement"] == 0.0


def test_rows_of_tables_are_compared() -> None:
    first = passengers()
    assert found(first, passengers(), take(first.golden_inputs, slice(3)))["survived"]["agreement"] == 1.0


def test_rows_without_a_finite_answer_are_left_out() -> None:
    agreement = Agreement.between(line(2), line(3))
    sums = agreement.sums(rows(2, 4, 0), np.array([[3.0], [np.nan], [1e200]]))
    assert sums.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        (line(), fork(), r"the champion answers numbers \(y\), and the shadow numbers \(up, down\)"),
        (line(), pair(), r"the shadow asks for 2 column\(s\) that the champion does not ask for, .*: x1, x2"),
        (line(), rents(), "one of both has learned from a table, and the other from a formula"),
        (messages(), rents(), r"the shadow asks for 2 column\(s\)"),
    ],
)
def test_what_cannot_be_compared_says_why(first: Bundle, other: Bundle, words: str) -> None:
    with pytest.raises(NotComparable, match=f"^{words}.*; move the label to a version with the same inputs"):
        Agreement.between(first, other)
