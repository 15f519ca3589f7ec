"""Column encoders: `decode` undoes `encode`, saved ones encode the same, and damaged ones are refused."""

import json
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder, encoder_from_dict
from models_store.encoding.dates import DateEncoder
from models_store.encoding.numbers import BooleanEncoder, NumberEncoder
from models_store.encoding.texts import TextEncoder, Weighting
from models_store.encoding.times import DurationEncoder, TimeEncoder
from models_store.errors import BundleDamaged
from models_store.tables.table import (
    Kind,
    Table,
    Values,
    column_of,
    from_json,
    from_text,
    to_json,
)
from models_store.tables.words import Terms, is_word, words_of
from tests.table_fakes import encoder_of


@dataclass(frozen=True)
class Drawn:
    """An encoder fitted on some values, and values to encode, which may be others."""

    encoder: ColumnEncoder
    values: Values


# Not so close to each other that float64 cannot tell them apart once they are scaled.
numbers = st.integers(-(2**30), 2**30).map(lambda number: number / 64)
dates = st.integers(-100_000, 100_000).map(float) | st.integers(-(2**32), 2**32).map(lambda second: second / 86400)
words = st.lists(st.sampled_from(["tea", "cup", "a", "Win", "don't", "münze", "42", "_", "!"]), max_size=6).map(
    " ".join
)
CELLS: dict[Kind, st.SearchStrategy[Any]] = {
    "number": numbers,
    "boolean": st.sampled_from([0.0, 1.0]),
    "date": dates,
    "time": st.integers(0, 86_399).map(float),
    "duration": st.integers(-(2**32), 2**32).map(float),
    "category": st.sampled_from(["a", "b", "c", "3", "ü", ""]) | st.text(max_size=3),
    "text": words | st.text(max_size=10),
}


@st.composite
def drawn(draw: Any, kind: Kind) -> Drawn:
    seen = column_of(kind, draw(st.lists(st.none() | CELLS[kind], min_size=1, max_size=12)))
    asked = draw(st.lists(st.none() | CELLS[kind], min_size=1, max_size=12))
    return Drawn(fitted(draw, kind, seen), column_of(kind, asked))


def fitted(draw: Any, kind: Kind, seen: Values) -> ColumnEncoder:
    match kind:
        case "number":
            method = draw(st.sampled_from(["standard", "minmax", "none"]))
            return NumberEncoder.fit(seen, method, draw(st.sampled_from([0, 2, 5])))
        case "boolean":
            return BooleanEncoder.fit(seen)
        case "time":
            return TimeEncoder.fit(seen, bins=draw(st.sampled_from([0, 2, 5])))
        case "duration":
            return DurationEncoder.fit(seen, bins=draw(st.sampled_from([0, 2, 5])))
        case "date":
            return DateEncoder.fit(seen)
        case "category":
            return CategoryEncoder.fit(seen)
        case "text":
            weighting, terms = draw(st.sampled_from(get_args(Weighting))), draw(st.sampled_from(get_args(Terms)))
            return TextEncoder.fit(seen, weighting=weighting, terms=terms)


every_kind = st.sampled_from(sorted(CELLS)).flatmap(drawn)


# -- of every kind -------------------------------------------------------------------------------------------------


@given(every_kind)
def test_as_many_inputs_are_made_as_are_said_and_all_are_finite(made: Drawn) -> None:
    encoded = made.encoder.encode(made.values)
    assert encoded.shape == (len(made.values), made.encoder.width)
    assert np.isfinite(encoded).all()


@given(every_kind)
def test_an_encoder_encodes_the_same_after_a_trip_through_json(made: Drawn) -> None:
    restored = encoder_from_dict(json.loads(json.dumps(made.encoder.to_dict(), allow_nan=False)))
    assert restored.to_dict() == made.encoder.to_dict()
    assert (restored.kind, restored.takes_missing) == (made.encoder.kind, made.encoder.takes_missing)
    np.testing.assert_array_equal(restored.encode(made.values), made.encoder.encode(made.values))
    np.testing.assert_array_equal(restored.unknown(made.values), made.encoder.unknown(made.values))


@given(every_kind, st.randoms(use_true_random=False))
def test_permuted_rows_are_encoded_to_permuted_rows(made: Drawn, random: Any) -> None:
    order = list(range(len(made.values)))
    random.shuffle(order)
    np.testing.assert_array_equal(made.encoder.encode(made.values[order]), made.encoder.encode(made.values)[order])
    np.testing.assert_array_equal(made.encoder.unknown(made.values[order]), made.encoder.unknown(made.values)[order])


@given(every_kind)
def test_a_row_is_encoded_alone_as_among_others(made: Drawn) -> None:
    together = made.encoder.encode(made.values)
    for row in range(len(made.values)):
        np.testing.assert_array_equal(made.encoder.encode(made.values[[row]]), together[[row]])


@given(every_kind)
def test_a_missing_value_is_never_unknown(made: Drawn) -> None:
    missing = np.array([cell is None or cell != cell for cell in made.values])
    assert not made.encoder.unknown(made.values)[missing].any()


@given(every_kind)
def test_what_training_had_twice_is_known(made: Drawn) -> None:
    kind = made.encoder.kind
    seen = np.concatenate([made.values, made.values])
    known = [cell is None or kind != "text" or bool(words_of(cell)) for cell in seen]
    assert not encoder_of(kind, seen).unknown(seen)[known].any()


# -- there and back ------------------------------------------------------------------------------------------------


@given(drawn("number") | drawn("date") | drawn("time") | drawn("duration"))
def test_what_has_an_order_comes_back(made: Drawn) -> None:
    missing = np.isnan(made.values.astype(np.float64))
    back = made.encoder.decode(made.encoder.encode(made.values))
    np.testing.assert_allclose(back[~missing].astype(np.float64), made.values[~missing].astype(np.float64), atol=1e-5)
    # A column that was never missing in training has no input to say so: a missing value becomes the median.
    assert np.isnan(back[missing].astype(np.float64)).all() == (made.encoder.takes_missing or not missing.any())


@given(drawn("boolean"))
def test_booleans_come_back(made: Drawn) -> None:
    values = made.values if made.encoder.takes_missing else np.nan_to_num(made.values.astype(np.float64), nan=0.0)
    np.testing.assert_array_equal(made.encoder.decode(made.encoder.encode(made.values)), values)


@given(drawn("category"))
def test_known_categories_come_back_and_others_do_not(made: Drawn) -> None:
    assert isinstance(made.encoder, CategoryEncoder)
    known = made.encoder.values
    back = made.encoder.decode(made.encoder.encode(made.values)).tolist()
    assert back == [value if value in known else None for value in made.values]


@given(drawn("text"))
def test_of_a_text_its_known_words_come_back_once_each(made: Drawn) -> None:
    assert isinstance(made.encoder, TextEncoder)
    back = made.encoder.decode(made.encoder.encode(made.values))
    for text, decoded in zip(made.values, back, strict=True):
        present = set(words_of(text or ""))
        assert decoded.split() == [term for term in made.encoder.words if term in present]
    are_words = [is_word(term) for term in made.encoder.words]
    encoded, again = (made.encoder.encode(values)[:, are_words] > 0 for values in (made.values, back))
    np.testing.assert_array_equal(again, encoded)


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_a_column_without_values_is_learned_all_the_same(values: list[None]) -> None:
    for kind in CELLS:
        encoder = encoder_of(kind, column_of(kind, values))
        assert np.isfinite(encoder.encode(column_of(kind, [None]))).all()


@given(every_kind)
def test_a_table_is_read_as_it_is_written(made: Drawn) -> None:
    kind = made.encoder.kind
    values = np.round(made.values.astype(np.float64)) if kind == "date" else made.values
    cells = [None if cell is None else str(cell).strip() for cell in values] if kind == "category" else values.tolist()
    written = [cell for (cell,) in to_json(Table({"x": column_of(kind, cells)}), {"x": kind})]
    read = column_of(kind, [None if cell is None else from_json(kind, cell) for cell in written])
    np.testing.assert_array_equal(
        read, column_of(kind, [_category(cell) for cell in cells] if kind == "category" else cells)
    )


def _category(cell: str | None) -> Any:
    return None if cell is None else from_text("category", cell)


# -- damage --------------------------------------------------------------------------------------------------------


NUMBER = NumberEncoder.fit(column_of("number", [1, 2, 3, 4, 5]), bins=2).to_dict()
CATEGORY = CategoryEncoder(("a", "b"), takes_missing=False).to_dict()
TEXT = TextEncoder(("a", "b"), np.ones(2), "tf-idf", takes_missing=False).to_dict()
DATE = DateEncoder.fit(column_of("date", [1, 2])).to_dict()
TWO_COLUMNS = {"method": "none", "offset": [0, 0], "scale": [1, 1]}


@pytest.mark.parametrize(
    "damaged",
    [
        {"kind": "colour"},
        {**NUMBER, "kind": "colour"},
        {**NUMBER, "median": float("nan")},
        {**NUMBER, "lowest": float("inf")},
        {**NUMBER, "edges": [0, float("nan"), 1]},
        {**NUMBER, "edges": [0, 0, 1]},
        {**NUMBER, "edges": [2, 1]},
        {**NUMBER, "edges": [[0, 1], [0, 1]]},
        {**NUMBER, "scaler": TWO_COLUMNS},
        {**NUMBER, "scaler": {"method": "none", "offset": [0], "scale": [0]}},
        {**DATE, "cycles": ["week", "month"]},
        {**DATE, "days": {**NUMBER, "highest": float("nan")}},
        {**CATEGORY, "values": ["a", "a"]},
        {**CATEGORY, "values": ["a", 1]},
        {**CATEGORY, "values": [None]},
        {**TEXT, "words": ["a", "a"]},
        {**TEXT, "words": ["a", 1]},
        {**TEXT, "weights": [1]},
        {**TEXT, "weights": [[1, 1]]},
        {**TEXT, "weights": [1, float("inf")]},
        {**TEXT, "weighting": "by-length"},
        {**TEXT, "terms": "letters"},
    ],
    ids=str,
)
def test_a_damaged_encoder_is_refused(damaged: dict[str, Any]) -> None:
    with pytest.raises(BundleDamaged):
        encoder_from_dict(damaged)


@pytest.mark.parametrize("saved", [NUMBER, CATEGORY, TEXT, DATE], ids=lambda saved: saved["kind"])
def test_an_encoder_that_lacks_something_is_no_encoder(saved: dict[str, Any]) -> None:
    for name in saved:
        with pytest.raises((BundleDamaged, LookupError)):
            encoder_from_dict({key: value for key, value in saved.items() if key != name})
