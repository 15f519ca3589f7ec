"""The space of a search: what it may hold, what a point of it makes of the recipe, and how mistakes are named."""

import time
from typing import Any

import pytest

from training.recipe.base import RecipeError
from training.recipe.search import Search
from training.recipe.space import Space, recipe_at, space_of
from training.recipe.spec import PatternSpec, shipped

QUADRATIC = shipped()["quadratic"]


def searching(space: dict[str, Any] | None, **more: Any) -> Space:
    spec = QUADRATIC.overridden({"search": {"space": space, **more}})
    assert spec.search is not None
    return space_of(spec, spec.search)


def test_a_recipe_without_a_search_is_written_as_before() -> None:
    assert "search" not in QUADRATIC.to_json()


def test_a_search_is_read_again_from_what_it_is_written_as() -> None:
    space = {
        "network.layers.*.units": [8, 16],
        "fit.optimizer.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
        "fit.batch_size": {"low": 8, "high": 64, "step": 8, "when": {"network.layers.*.units": 8}},
    }
    spec = QUADRATIC.overridden({"search": {"space": space, "trials": 5}})
    assert PatternSpec.parse(spec.to_json()) == spec


def test_another_space_replaces_the_one_before() -> None:
    spec = QUADRATIC.overridden({"search": {"space": {"seed": [1, 2]}, "trials": 5}})
    changed = spec.overridden({"search": {"space": {"network.dropout": [0.0, 0.1]}}}).search
    assert changed is not None and changed.space is not None
    assert (list(changed.space), changed.trials) == (["network.dropout"], 5)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_recipe_has_a_default_space(name: str) -> None:
    spec = shipped()[name].overridden({"search": {}})
    assert "fit.optimizer.learning_rate" in space_of(spec, Search()).dimensions


@pytest.mark.parametrize(
    ("point", "units"),
    [
        ({"network.layers": 3}, [32, 32, 32]),
        ({"network.layers": [16, 8]}, [16, 8]),
        ({"network.layers": [{"units": 4, "activation": "tanh"}]}, [4]),
        ({"network.layers.*.units": 7}, [7, 7]),
        ({"network.layers": 3, "network.layers.*.units": 7, "network.layers.1.units": 5}, [7, 5, 7]),
        ({"network.layers.1.units": 5, "network.layers.*.units": 7}, [7, 5]),
        ({"network.layers": 0}, []),
    ],
)
def test_layers_are_chosen_by_number_by_units_or_whole(point: dict[str, Any], units: list[int]) -> None:
    assert [layer.units for layer in recipe_at(QUADRATIC, point).network.layers] == units


def test_a_point_changes_its_fields_and_no_others() -> None:
    point: dict[str, Any] = {"fit.optimizer.learning_rate": 0.5, "scaling.method": "standard", "seed": 3}
    changed = {"fit": {"optimizer": {"learning_rate": 0.5}}, "scaling": {"method": "standard"}, "seed": 3}
    assert recipe_at(QUADRATIC, point) == QUADRATIC.overridden(changed)


@pytest.mark.parametrize(
    "space",
    [
        {"network.layers.1.units": [8]},
        {"network.layers": {"low": 1, "high": 4}, "network.layers.3.units": [8]},
        {"network.layers": [1, 3], "network.layers.2.units": {"values": [8], "when": {"network.layers": 3}}},
        # The recipe's own two layers stay where a condition does not hold.
        {"network.layers": {"values": [1], "when": {"seed": 1}}, "seed": [1, 2], "network.layers.1.units": [8]},
    ],
)
def test_a_layer_may_be_named_that_some_network_of_the_space_has(space: dict[str, Any]) -> None:
    assert set(searching(space).dimensions) == set(space)


def test_a_field_is_chosen_only_where_its_conditions_hold() -> None:
    space = searching(
        {
            "fit.optimizer.momentum": {"values": [0.5, 0.9], "when": {"fit.optimizer.name": ["momentum"]}},
            "fit.optimizer.name": ["adam", "momentum"],
        }
    )
    assert list(space.dimensions) == ["fit.optimizer.name", "fit.optimizer.momentum"]
    assert space.is_chosen("fit.optimizer.momentum", {"fit.optimizer.name": "momentum"})
    assert not space.is_chosen("fit.optimizer.momentum", {"fit.optimizer.name": "adam"})


def test_ranges_are_whole_where_the_recipe_takes_no_fractions() -> None:
    space = searching(
        {
            "network.layers.*.units": {"low": 8, "high": 64},
            "network.dropout": {"low": 0, "high": 0.5},
            "fit.optimizer.learning_rate": {"low": 1, "high": 3},
        }
    )
    assert space.whole == {"network.layers.*.units"}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "space: is empty"),
        ({"fit.optimizer.speed": [1]}, "search.space.fit.optimizer.speed: there is no such field"),
        ({"fir.epochs": [1]}, "search.space.fir.epochs: cannot be searched"),
        ({"split.test": [0.1]}, "search.space.split.test: cannot be searched"),
        ({"data.rows": [100]}, "search.space.data.rows: cannot be searched"),
        ({"fit.batch_size": []}, "the list is empty"),
        ({"fit.batch_size": {"values": []}}, "search.space.fit.batch_size"),
        ({"fit.batch_size": 8}, "give a list of values, or a range"),
        ({"fit.batch_size": {"low": 64, "high": 8}}, "low must be below high, and 64 is not below 8"),
        ({"fit.batch_size": {"low": 8, "high": 8}}, "low must be below high"),
        ({"fit.batch_size": {"low": 8, "high": 64, "step": 100}}, "step: must be above 0"),
        ({"fit.batch_size": {"low": 8, "high": 2**60}}, "at most 2^53"),
        ({"network.dropout": {"low": 0, "high": 0.5, "step": 5e-324}}, "step: is too small for the range"),
        ({"network.layers": [1, 10**12]}, "a network has 0 to 32 layers, not 1000000000000"),
        ({"network.layers": {"low": 1, "high": 2**53}}, "a network has 0 to 32 layers"),
        ({"network.dropout": {"low": 0, "high": 0.5, "log": True}}, "log: needs a low above 0"),
        ({"network.dropout": {"low": 0.1, "high": 0.5, "log": True, "step": 0.1}}, "log: has no step"),
        ({"network.dropout": [0.1, 1.5]}, "search.space.network.dropout: must be less than 1 or 'auto'"),
        ({"fit.schedule": ["cosine"]}, "search.space.fit.schedule: must be an object"),
        (
            {"fit.schedule": [None, {"kind": "cosine"}]},
            "search.space.fit.schedule: must say which it is with the field 'name'",
        ),
        ({"fit.epochs": ["many"]}, "search.space.fit.epochs: must be a whole number or 'auto'"),
        ({"network.layers.*.unit": [1]}, "network.layers.*.unit: network.layers.0.unit: there is no such field"),
        ({"network.layers.x.units": [1]}, "name a field of all layers"),
        (
            {"network.layers.2.units": [8]},
            "search.space.network.layers.2.units: no network that it is chosen for has a layer 2; the deepest has 2, "
            "counted from 0",
        ),
        ({"network.layers": [1, 3], "network.layers.3.units": [8]}, "a layer 3; the deepest has 3,"),
        ({"network.layers": {"low": 1, "high": 4}, "network.layers.4.units": [8]}, "a layer 4; the deepest has 4,"),
        ({"network.layers": [[8], [8, 16]], "network.layers.2.activation": ["elu"]}, "a layer 2; the deepest has 2,"),
        ({"network.layers": [0], "network.layers.*.units": [8]}, "no network that it is chosen for has any layer"),
        (
            {"network.layers": [1, 3], "network.layers.1.units": {"values": [8], "when": {"network.layers": 1}}},
            "a layer 1; the deepest has 1,",
        ),
        ({"network.layers": [10**9]}, "network.layers: a network has 0 to 32 layers, not 1000000000"),
        ({"network.layers": [-1]}, "a network has 0 to 32 layers, not -1"),
        (
            {"fit.optimizer.name": ["adam", "sgd"], "fit.optimizer.weight_decay": [0.0, 0.1]},
            "search.space.fit.optimizer.weight_decay: with fit.optimizer.name sgd, ",
        ),
        (
            {"fit.batch_size": {"values": [8], "when": {"network.layers": [3]}}, "network.layers": [1, 2]},
            "search.space.fit.batch_size: is never chosen",
        ),
        (
            {
                "fit.optimizer.name": ["adam", "sgd"],
                "fit.batch_size": {"values": [8, 16], "when": {"fit.optimizer.name": ["adam"]}},
                "network.dropout": {"values": [0.1], "when": {"fit.optimizer.name": ["sgd"], "fit.batch_size": [8]}},
            },
            "search.space.network.dropout: is never chosen, because its conditions exclude each other",
        ),
        (
            {"network.dropout": {"values": [0.1], "when": {"fit.optimizer.name": "sgd"}}},
            "search.space.network.dropout: is never chosen",
        ),
        (
            {
                "seed": {"values": [1], "when": {"network.dropout": [0.1]}},
                "network.dropout": {"values": [0.1], "when": {"seed": [1]}},
            },
            "its conditions go round in a circle",
        ),
        (
            {"seed": {"values": [1], "when": {"network.dropout": [0.1]}}, "network.dropout": {"low": 0.1, "high": 0.2}},
            "network.dropout is a range; a condition names a field with a list",
        ),
        (
            {"seed": {"values": [1], "when": {"colour": ["red"]}}},
            "search.space.seed.when: a recipe has no field colour",
        ),
    ],
)
def test_a_bad_space_is_refused_by_its_field(space: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        searching(space)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"seed": list(range(1000)), "network.dropout": [0.1] * 1000, "fit.epochs": [*range(1, 1001)]}, "1000000000"),
        ({"fit.optimizer.learning_rate": {"low": 0.1, "high": 0.2}}, "a grid needs a step, or a list of values"),
        ({"seed": {"low": 0, "high": 10**6, "step": 1}}, "1000001 values; a grid has at most 1000"),
        (None, "a grid needs the values to combine"),
    ],
)
def test_a_grid_that_has_no_end_is_refused(space: dict[str, Any] | None, said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        searching(space, method="grid")
    assert said in str(refused.value)


def test_the_grid_of_a_range_has_its_steps() -> None:
    space = searching(
        {
            "network.dropout": {"low": 0.0, "high": 0.5, "step": 0.25},
            "fit.batch_size": {"low": 8, "high": 20, "step": 8},
        },
        method="grid",
    )
    assert space.grid == {"network.dropout": [0.0, 0.25, 0.5], "fit.batch_size": [8, 16]}


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"metric": "accuracy"}, "search.metric: accuracy is for labels"),
        ({"method": "hyperband", "pruning": "median"}, "the method hyperband prunes by itself"),
        ({"method": "gradient"}, "search.method"),
        ({"trials": 0}, "search.trials"),
        ({"trials": 10**6}, "search.trials"),
        ({"folds": 1}, "search.folds"),
        ({"seconds": 0}, "search.seconds"),
    ],
)
def test_a_bad_search_is_refused_by_its_field(search: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        QUADRATIC.overridden({"search": search})
    assert said in str(refused.value)


def test_conditions_that_name_each_other_in_many_ways_are_looked_at_once() -> None:
    """There are 2^31 ways from the last field to the first."""
    fields = [f"network.layers.{layer}.units" for layer in range(32)]
    chained = {name: {"values": [8], "when": dict.fromkeys(fields[:place], 8)} for place, name in enumerate(fields)}
    space = {"network.layers": [32], **chained}
    assert list(searching(space).dimensions) == [*space]


def test_repeated_names_of_optimisers_are_tried_once() -> None:
    names = {"fit.optimizer.name": ["adam"] * 1000, "fit.optimizer.learning_rate": [0.01] * 50}
    began = time.process_time()
    searching(names)
    assert time.process_time() - began < 4
