"""Architectures: the shapes of their weights, and what is saved of them."""

import json
from dataclasses import replace

import pytest

from models_store.networks.architecture import Architecture, Layer

TWO_LAYERS = Architecture(4, (Layer(16, "relu"), Layer(3, "softmax")), "float64")


def test_every_layer_has_a_kernel_and_a_bias() -> None:
    assert TWO_LAYERS.weight_shapes == [(4, 16), (16,), (16, 3), (3,)]
    assert TWO_LAYERS.n_parameters == 4 * 16 + 16 + 16 * 3 + 3
    assert TWO_LAYERS.n_outputs == 3


def test_every_weight_has_an_axis_of_members_if_there_are_several() -> None:
    eight = replace(TWO_LAYERS, members=8)
    assert eight.weight_shapes == [(8, 4, 16), (8, 16), (8, 16, 3), (8, 3)]
    assert (eight.n_parameters, eight.widest) == (8 * TWO_LAYERS.n_parameters, 8 * 16)
    assert eight.member == TWO_LAYERS
    assert Architecture.from_dict(json.loads(json.dumps(eight.to_dict()))) == eight


@pytest.mark.parametrize(("units", "widest"), [((1,), 1), ((16, 3), 16), ((2, 90, 5), 90)])
def test_the_widest_layer_is_one_of_the_layers_and_not_the_inputs(units: tuple[int, ...], widest: int) -> None:
    assert Architecture(1000, tuple(Layer(width, "relu") for width in units)).widest == widest


def test_an_architecture_is_the_same_after_json() -> None:
    saved = json.loads(json.dumps(TWO_LAYERS.to_dict()))
    assert saved == {
        "n_inputs": 4,
        "layers": [{"units": 16, "activation": "relu"}, {"units": 3, "activation": "softmax"}],
        "dtype": "float64",
    }
    assert Architecture.from_dict(saved) == TWO_LAYERS


@pytest.mark.parametrize("name", ["n_inputs", "layers", "dtype"])
def test_a_saved_architecture_that_lacks_something_is_none(name: str) -> None:
    with pytest.raises(LookupError):
        Architecture.from_dict({key: value for key, value in TWO_LAYERS.to_dict().items() if key != name})
