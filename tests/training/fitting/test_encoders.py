"""Encoders of a recipe: from training rows alone, as many pieces as the rows bear, nothing too large to hold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models_store.arrays import Array
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.outputs import LabelDecoder, OutputDecoder
from models_store.encoding.rows import InputEncoder, TableEncoder, monomials
from models_store.encoding.scaler import Scaler
from models_store.tables.table import Kind, Table, Values, column_of
from training.data.dataset import DataError, Dataset, Labels, Rows
from training.fitting.encoders import (
    LARGEST_INPUT,
    MOST_IN_PIECES,
    MOST_TABLE_FEATURES,
    bins_of,
    encoders,
    table_encoder,
)
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

X = {"distribution": "uniform", "low": 0, "high": 1}


def formula_spec(**changes: Any) -> PatternSpec:
    data = {"kind": "formula", "inputs": {"a": X, "b": X}, "outputs": {"y": "a + b"}, "rows": 10}
    return PatternSpec.parse({"name": "sum", "data": data, **changes})


def table_spec(**data: Any) -> PatternSpec:
    return PatternSpec.parse({"name": "sum", "data": {"kind": "table", "dataset": "0" * 32, "target": "y", **data}})


def formula_data(inputs: Array, *, held_out: Array | None = None) -> Dataset:
    """y = a + b of training rows, and of others for both validation and test."""
    others = inputs if held_out is None else held_out
    train, rest = (Rows(rows, rows.sum(axis=1, keepdims=True)) for rows in (inputs, others))
    return Dataset({"a": "number", "b": "number"}, ("y",), train, rest, rest)


def table_data(columns: dict[str, tuple[Kind, Values]], labels: Labels | None = None) -> Dataset:
    """All rows are training rows; where there are labels, each row has the next."""
    table = Table({name: values for name, (_, values) in columns.items()})
    targets = np.arange(len(table), dtype=np.float64).reshape(-1, 1) % (len(labels.names) if labels else len(table))
    rows = Rows(table, targets)
    return Dataset({name: kind for name, (kind, _) in columns.items()}, ("y",), rows, None, rows, labels=labels)


def numbers(n_rows: int, n_columns: int = 1) -> dict[str, tuple[Kind, Values]]:
    """Columns `x0`, `x1` and so on, of numbers that are all different."""
    column = np.arange(n_rows, dtype=np.float64)
    return {f"x{place}": ("number", column) for place in range(n_columns)}


# -- training rows alone -------------------------------------------------------------------------------------------

regions = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(-1e6, 1e6))
scalings = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["standard", "minmax", "none"]),
        "scope": st.just("global"),
        "outputs": st.sampled_from(["own", "shared", "none"]),
    }
) | st.fixed_dictionaries(
    {
        "method": st.sampled_from(["standard", "minmax", "none"]),
        "scope": st.just("per-column"),
        "outputs": st.sampled_from(["own", "none"]),
    }
)


@given(regions, regions, scalings, st.integers(1, 3))
def test_of_a_formula_other_validation_and_test_rows_change_no_encoder(
    inputs: Array, others: Array, scaling: dict[str, str], degree: int
) -> None:
    spec = formula_spec(scaling=scaling, network={"polynomial_degree": degree})
    learned = encoders(spec, formula_data(inputs), "mse")
    again = encoders(spec, formula_data(inputs, held_out=others), "mse")
    assert [one.to_dict() for one in again] == [one.to_dict() for one in learned]


@given(regions, scalings)
def test_of_a_formula_the_training_rows_are_all_that_is_learned_from(inputs: Array, scaling: dict[str, Any]) -> None:
    spec = formula_spec(scaling=scaling, network={"polynomial_degree": 2})
    encoder, decoder = encoders(spec, formula_data(inputs), "mse")
    assert isinstance(encoder, InputEncoder)
    assert isinstance(decoder, OutputDecoder)
    method, scope = scaling["method"], scaling["scope"]
    expected = Scaler.fit(method, monomials(inputs, 2), scope)
    outputs = {
        "own": Scaler.fit(method, inputs.sum(axis=1, keepdims=True), scope),
        "shared": Scaler(method, expected.offset[:1], expected.scale[:1]),
        "none": Scaler.identity(1),
    }
    assert encoder.scaler.to_dict() == expected.to_dict()
    assert decoder.scaler.to_dict() == outputs[scaling["outputs"]].to_dict()


COLUMNS: dict[Kind, st.SearchStrategy[Any]] = {
    "number": st.floats(-1e6, 1e6),
    "boolean": st.sampled_from([0.0, 1.0]),
    "date": st.integers(-100_000, 100_000).map(float),
    "category": st.sampled_from("abc"),
    "text": st.sampled_from(["tea", "a cup of tea", "a cup"]),
}
columns = st.fixed_dictionaries(
    {kind: st.lists(st.none() | cells, min_size=6, max_size=6) for kind, cells in COLUMNS.items()}
)


@given(columns, columns)
def test_of_a_table_other_validation_and_test_rows_change_no_encoder(
    cells: dict[Kind, list[Any]], others: dict[Kind, list[Any]]
) -> None:
    data, held_out = (
        table_data({kind: (kind, column_of(kind, values)) for kind, values in table.items()})
        for table in (cells, others)
    )
    learned = encoders(table_spec(), data, "mse")
    again = encoders(table_spec(), replace(data, validation=held_out.train, test=held_out.train), "mse")
    assert [one.to_dict() for one in again] == [one.to_dict() for one in learned]


# -- pieces of a number --------------------------------------------------------------------------------------------


def pieces(n_rows: int, n_columns: int = 1, **recipe: Any) -> int:
    """The number of pieces of the first column's encoding."""
    spec, data = table_spec(**recipe), table_data(numbers(n_rows, n_columns))
    assert isinstance(spec.data, TableData)
    assert isinstance(data.train.inputs, Table)
    encoder = table_encoder(spec, spec.data, data, data.train.inputs).encoders["x0"]
    assert isinstance(encoder, NumberEncoder)
    return max(0, len(encoder.edges) - 1)


@pytest.mark.parametrize(
    ("n_rows", "expected"), [(10, 4), (749, 4), (750, 5), (3000, 20), (4799, 31), (4800, 32), (9000, 32)]
)
def test_a_number_has_a_piece_for_every_150_rows_from_4_to_32(n_rows: int, expected: int) -> None:
    assert pieces(n_rows) == expected


@pytest.mark.parametrize(("n_rows", "expected"), [(10, 4), (249, 4), (250, 5), (1600, 32), (9000, 32)])
def test_in_a_network_of_one_it_has_a_piece_for_every_50_rows(n_rows: int, expected: int) -> None:
    one = {"network": {"members": 1}, "fit": {"early_stopping": None}}
    spec, data = table_spec().overridden(one), table_data(numbers(n_rows, 1))
    assert isinstance(spec.data, TableData)
    assert bins_of(spec, spec.data, data) == expected


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"bins": 7}, 7),
        ({"numbers": "piecewise", "bins": 2}, 2),
        ({"numbers": "scaled"}, 0),
        ({"numbers": "scaled", "bins": 7}, 0),
    ],
)
def test_a_recipe_says_how_many_pieces_there_are(recipe: dict[str, Any], expected: int) -> None:
    assert pieces(300, **recipe) == expected


def test_numbers_are_only_scaled_where_their_pieces_would_be_too_many_unless_the_recipe_insists() -> None:
    n_rows, n_columns, bins = 1 << 13, 1 << 4, 256
    assert n_rows * n_columns * bins == MOST_IN_PIECES
    assert pieces(n_rows, n_columns, bins=bins) == bins
    assert pieces(n_rows + 1, n_columns, bins=bins) == 0
    assert pieces(n_rows + 1, n_columns, bins=bins, numbers="piecewise") == bins


# -- what is refused -----------------------------------------------------------------------------------------------


def test_more_network_inputs_than_can_be_held_are_refused() -> None:
    text = " ".join(f"w{number}" for number in range(100_000))
    texts = column_of("text", [text, text])
    two = table_data({"first": ("text", texts), "second": ("text", texts)})
    three = table_data({"first": ("text", texts), "second": ("text", texts), "x": ("boolean", np.ones(2))})
    assert encoders(table_spec(words=100_000), two, "mse")[0].n_inputs == MOST_TABLE_FEATURES
    with pytest.raises(DataError, match=r"2 training rows become 20000\d network inputs each; .* lower data\.words"):
        encoders(table_spec(words=100_000), three, "mse")
    assert encoders(table_spec(words=100), three, "mse")[0].n_inputs < MOST_TABLE_FEATURES


@pytest.mark.parametrize("texts", [[None, None], ["open sesame", "close barley"], ["!?", "..."]])
def test_texts_without_a_word_that_two_rows_have_are_refused_where_nothing_else_is_an_input(
    texts: list[str | None],
) -> None:
    found: dict[str, tuple[Kind, Values]] = {"note": ("text", column_of("text", texts))}
    with pytest.raises(DataError, match=r"no word is in two training rows, .* data\.columns"):
        encoders(table_spec(), table_data(found), "mse")
    assert encoders(table_spec(), table_data(found | numbers(2)), "mse")[0].n_inputs > 0


def test_more_numbers_than_a_training_holds_are_refused() -> None:
    values = column_of("number", [0.0, 1.0, 2.0] * 70_000)
    many = column_of("category", [str(number % 1000) for number in range(len(values))])
    data = table_data({f"c{place}": ("category", many) for place in range(4)} | {"x": ("number", values)})
    with pytest.raises(DataError, match="210000 training rows become 10"):
        encoders(table_spec(), data, "mse")


@pytest.mark.parametrize("scope", ["per-column", "global"])
@pytest.mark.parametrize(
    ("far", "degree", "named"),
    [
        (1e301, 1, r"data\.inputs\.b"),
        (-1e301, 1, r"data\.inputs\.b"),
        (1e301, 3, r"data\.inputs\.b"),
        (1e151, 2, r"network\.polynomial_degree: products of 2 inputs"),
        (-1e101, 3, r"network\.polynomial_degree: products of 3 inputs"),
        (1e200, 8, r"network\.polynomial_degree"),
    ],
)
def test_inputs_of_a_formula_that_no_scaler_can_hold_are_named(far: float, degree: int, scope: str, named: str) -> None:
    inputs = np.array([[0.0, 0.0], [1.0, far], [2.0, -1.0]])
    spec = formula_spec(network={"polynomial_degree": degree}, scaling={"scope": scope})
    with pytest.raises(DataError, match=named):
        encoders(spec, formula_data(inputs), "mse")


@given(regions.map(lambda rows: rows / 1e6), scalings, st.integers(1, 8))
def test_whatever_is_not_refused_is_encoded_to_finite_numbers(
    rows: Array, scaling: dict[str, Any], degree: int
) -> None:
    largest = LARGEST_INPUT ** (1 / degree) * 0.99
    spec = formula_spec(scaling=scaling, network={"polynomial_degree": degree, "dtype": "float64"})
    data = replace(formula_data(rows), train=Rows(rows * largest, rows.sum(axis=1, keepdims=True)))
    encoder, _ = encoders(spec, data, "mse")
    assert np.isfinite(encoder.encode(rows * largest)).all()


def test_a_column_of_a_table_that_no_scaler_can_hold_is_named() -> None:
    columns = numbers(20) | {"far": ("number", column_of("number", [None, 2e300] * 10))}
    with pytest.raises(DataError, match=r"far has a value beyond 1e\+300"):
        encoders(table_spec(), table_data(columns), "mse")


def test_a_column_of_a_table_may_be_as_large_as_a_scaler_can_hold() -> None:
    data = table_data({"far": ("number", column_of("number", [None, -1e300, 1e300, 1.0] * 5))})
    encoder, _ = encoders(table_spec(), data, "mse")
    assert np.isfinite(encoder.encode(data.train.inputs)).all()


# -- labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "loss", "encoded"),
    [
        (("no", "yes"), "binary_crossentropy", [[0], [1], [0]]),
        (("a", "b", "c"), "sparse_categorical_crossentropy", [[0], [1], [2]]),
        (("a", "b", "c"), "categorical_crossentropy", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ],
)
def test_labels_are_one_hot_where_the_loss_wants_them_so(names: tuple[str, ...], loss: Any, encoded: Any) -> None:
    data = table_data(numbers(3), Labels(names, "text"))
    _, decoder = encoders(table_spec(), data, loss)
    assert isinstance(decoder, LabelDecoder)
    assert decoder.encode(data.train.targets).tolist() == encoded
    assert (decoder.columns, decoder.labels) == (("y",), names)


def test_a_table_has_an_encoder_for_each_of_its_columns_in_order() -> None:
    columns = numbers(10) | {"port": ("category", column_of("category", ["S", "C"] * 5))}
    encoder, _ = encoders(table_spec(), table_data(columns), "mse")
    assert isinstance(encoder, TableEncoder)
    assert encoder.kinds == {"x0": "number", "port": "category"}


# -- what stands in for a missing value ----------------------------------------------------------------------------

WHOLE: dict[str, tuple[Kind, list[Any]]] = {
    "size": ("number", [1.0, 2.0, 4.0, 9.0]),
    "port": ("category", ["S", "C", "C", "S"]),
    "crew": ("boolean", [1.0, 0.0, 0.0, 0.0]),
    "day": ("date", [1.0, 2.0, 4.0, 9.0]),
    "hour": ("time", [60.0, 120.0, 180.0, 240.0]),
    "lasted": ("duration", [60.0, 120.0, 180.0, 240.0]),
    "note": ("text", ["a", "b", "c", "d"]),
    "gaps": ("number", [1.0, None, 4.0, 9.0]),
}


def test_a_usual_value_stands_in_where_training_rows_have_all() -> None:
    data = table_data({name: (kind, column_of(kind, cells)) for name, (kind, cells) in WHOLE.items()})
    encoder, _ = encoders(table_spec(), data, "mse")
    assert isinstance(encoder, TableEncoder)
    assert encoder.fills == {
        "size": 3.0,
        "port": "C",
        "crew": 0.0,
        "day": 2.0,
        "hour": 120.0,
        "lasted": 120.0,
        "note": "",
    }
    strict, _ = encoders(table_spec().overridden({"missing": "refuse"}), data, "mse")
    assert isinstance(strict, TableEncoder)
    assert strict.fills == {}
