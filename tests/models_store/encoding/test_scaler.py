"""Scalers: `inverse` undoes `transform`, and no column is too flat or too far away."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models_store.arrays import Array
from models_store.encoding.scaler import Method, Scaler, Scope
from models_store.errors import BundleDamaged

tables = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e12, 1e12))
methods: st.SearchStrategy[Method] = st.sampled_from(["standard", "minmax", "none"])
scopes: st.SearchStrategy[Scope] = st.sampled_from(["per-column", "global"])

TWO_COLUMNS = np.array([[0.0, 100.0], [2.0, 300.0]])


@given(tables, methods, scopes)
def test_inverse_undoes_transform(raw: Array, method: Method, scope: Scope) -> None:
    scaler = Scaler.fit(method, raw, scope)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(raw)), raw, rtol=1e-12, atol=1e-14 * np.abs(raw).max())


@given(tables, methods, scopes)
def test_a_scaler_is_the_same_after_json(raw: Array, method: Method, scope: Scope) -> None:
    scaler = Scaler.fit(method, raw, scope)
    saved = json.loads(json.dumps(scaler.to_dict()))
    assert Scaler.from_dict(saved).to_dict() == scaler.to_dict()


def test_standard_gives_each_column_mean_0_and_deviation_1() -> None:
    assert Scaler.standard(TWO_COLUMNS).transform(TWO_COLUMNS).tolist() == [[-1, -1], [1, 1]]


def test_minmax_gives_each_column_the_range_from_0_to_1() -> None:
    assert Scaler.minmax(TWO_COLUMNS).transform(TWO_COLUMNS).tolist() == [[0, 0], [1, 1]]


def test_a_global_scaler_keeps_the_columns_proportions() -> None:
    scaler = Scaler.minmax(TWO_COLUMNS, "global")
    assert scaler.to_dict() == {"method": "minmax", "offset": [0, 0], "scale": [300, 300]}


def test_none_changes_nothing() -> None:
    assert Scaler.fit("none", TWO_COLUMNS).transform(TWO_COLUMNS).tolist() == TWO_COLUMNS.tolist()


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e9, 1e300])
def test_a_constant_column_gets_scale_1(method: Method, value: float) -> None:
    column = np.full((3, 1), value)
    scaler = Scaler.fit(method, column)
    assert scaler.scale.tolist() == [1]
    assert np.isfinite(scaler.transform(column)).all()


def test_a_billion_plus_or_minus_one_keeps_its_signal_in_float32() -> None:
    far_away = np.array([[1e9 - 1], [1e9 + 1]])
    assert Scaler.standard(far_away).transform(far_away).astype(np.float32).tolist() == [[-1], [1]]


@pytest.mark.parametrize("scope", ["per-column", "global"])
@pytest.mark.parametrize("factor", [1e299, 1e-299, 1e-170])
def test_numbers_whose_squares_no_float64_holds_are_scaled_like_others(scope: Scope, factor: float) -> None:
    small = np.array([[-1.0, 2.0], [3.0, 4.0], [0.5, -3.0]])
    for method in ("standard", "minmax"):
        expected = Scaler.fit(method, small, scope)
        scaler = Scaler.fit(method, small * factor, scope)
        np.testing.assert_allclose(scaler.offset, expected.offset * factor, rtol=1e-12)
        np.testing.assert_allclose(scaler.scale, expected.scale * factor, rtol=1e-12)


def test_a_large_column_leaves_the_others_as_they_are_to_the_bit() -> None:
    alone = Scaler.standard(TWO_COLUMNS[:, :1])
    beside = Scaler.standard(TWO_COLUMNS * [1.0, 1e290])
    assert (beside.offset[0], beside.scale[0]) == (alone.offset[0], alone.scale[0])


def test_a_global_scaler_shares_its_two_numbers_with_other_columns() -> None:
    shared = Scaler.standard(TWO_COLUMNS, "global").shared_with(3)
    mean, deviation = TWO_COLUMNS.mean(), TWO_COLUMNS.std()
    assert shared.to_dict() == {"method": "standard", "offset": [mean] * 3, "scale": [deviation] * 3}


def test_a_scaler_with_a_pair_a_column_has_none_to_share() -> None:
    with pytest.raises(ValueError, match="global scope"):
        Scaler.standard(TWO_COLUMNS).shared_with(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": [float("nan")]},
        {"offset": [float("inf")]},
        {"scale": [float("nan")]},
        {"scale": [float("-inf")]},
        {"scale": [0.0]},
        {"scale": [1.0, 1.0]},
        {"offset": [[0.0]], "scale": [[1.0]]},
        {"offset": 0.0, "scale": 1.0},
    ],
)
def test_a_saved_scaler_that_could_not_have_been_learned_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BundleDamaged):
        Scaler.from_dict({"method": "standard", "offset": [0.0], "scale": [1.0], **wrong})
