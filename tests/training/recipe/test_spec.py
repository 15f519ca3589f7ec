"""Recipes: those that ship with the server, one object in YAML and JSON, and every mistake is named by its field."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.fit import Cosine, Exponential, Momentum, Sgd
from training.recipe.promotion import Promotion
from training.recipe.spec import LARGEST_FILE, PatternSpec, catalogue, shipped

CATALOGUE = catalogue()
SHIPPED = shipped()
IMPROVED = [name for name, spec in SHIPPED.items() if spec.improves]
INTEGERS = {"distribution": "integers", "low": 0, "high": 100}
IRIS = {"kind": "table", "dataset": "iris", "target": "species"}


def test_the_catalogue_has_eight_formulas_and_iris() -> None:
    assert sorted(CATALOGUE) == [
        "add-ten",
        "add-ten-relu",
        "add-ten-unscaled",
        "iris",
        "linear-pair",
        "quadratic",
        "quadratic-extended",
        "quadratic-extrapolated",
        "quadratic-sparse",
    ]


def test_every_formula_of_an_author_has_one_recipe_that_improves_on_it() -> None:
    assert sorted(str(SHIPPED[name].improves) for name in IMPROVED) == sorted(
        name for name, spec in CATALOGUE.items() if spec.author and not isinstance(spec.data, TableData)
    )


@pytest.mark.parametrize("name", IMPROVED)
def test_what_improves_on_a_recipe_has_its_rows_and_at_most_five_times_its_epochs(name: str) -> None:
    improved = SHIPPED[name]
    author = SHIPPED[str(improved.improves)]
    assert (improved.data, improved.split) == (author.data, author.split)
    assert improved.fit.most_epochs <= 5 * author.fit.most_epochs
    assert author.author is not None
    assert improved.author is None  # its figure is of the other recipe


def test_a_relu_network_that_is_improved_still_is_one() -> None:
    for name in ("add-ten-relu-minmax", "add-ten-unscaled-longer"):
        author = SHIPPED[str(SHIPPED[name].improves)]
        assert SHIPPED[name].network.layers == author.network.layers


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_is_the_same_after_json(name: str) -> None:
    spec = SHIPPED[name]
    assert PatternSpec.parse(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_recipe_needs_only_a_name_and_data(recipe: PatternSpec) -> None:
    assert (recipe.split.test, recipe.scaling.method, recipe.fit.optimizer.name, recipe.seed) == (
        0.2,
        "standard",
        "adam",
        0,
    )


# -- what is wrong, and where --------------------------------------------------------------------------------------

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"name": "Abc"}, "name:"),
    ({"name": "abc\n"}, "name:"),
    ({"name": "-abc"}, "name:"),
    ({"name": "a" * 64}, "name:"),
    ({"name": ""}, "name:"),
    ({"name": "stats"}, "name:"),
    ({"name": "docs"}, "name:"),
    ({"seed": -1}, "seed:"),
    ({"seed": 2**32}, "seed:"),
    ({"seed": True}, "seed:"),
    ({"seed": 1.0}, "seed:"),
    ({"description": "d" * 501}, "description:"),
    ({"colour": "red"}, "colour:"),
    ({"outside": "formula", "formula": {"search": "none"}}, "outside: formula needs one"),
    ({"outside": "formula", "data": IRIS, "fit": {"class_weights": "balanced"}}, "outside: the target is labels"),
    ({"data": None}, "data:"),
    ({"data": {"kind": "csv"}}, "data:"),
    ({"data": {"path": "/etc/passwd"}}, "data.path:"),
    ({"data": {"rows": 1}}, "data.rows:"),
    ({"data": {"rows": "100"}}, "data.rows:"),
    ({"data": {"inputs": {"x": {"low": 100}}}}, "data.inputs.x: low must be below high"),
    ({"data": {"inputs": {"x": {"low": 0.5}}}}, "data.inputs.x.low:"),
    ({"data": {"inputs": {"x": {"distribution": "zipf"}}}}, "data.inputs.x:"),
    ({"data": {"inputs": {"x y": INTEGERS}}}, "data.inputs.x y.[key]:"),
    ({"data": {"outputs": {"y": "x.__class__"}}}, "data.outputs.y: a formula has only + - * /"),
    ({"data": {"outputs": {"y": "z"}}}, "data.outputs.y: unknown name in the formula; the inputs are x"),
    ({"data": {"outputs": {"x": "x"}}}, "data: x is both an input and an output"),
    (
        {"data": {"test": {"rows": 9, "inputs": {"z": INTEGERS}}}},
        "data: test.inputs must name the same",
    ),
    ({"promotion": {}}, "promotion.when:"),
    ({"promotion": {"when": "better"}}, "promotion.when:"),
    ({"promotion": {"when": "if-better", "tolerance": 1.5}}, "promotion.tolerance:"),
    ({"promotion": {"when": "always", "tolerance": 0.1}}, "promotion.tolerance: goes only with when: if-better"),
    ({"split": {"test": 0}}, "split.test: must be above 0"),
    ({"split": {"test": 1}}, "split.test:"),
    ({"split": {"test": True}}, "split.test:"),
    ({"split": {"validation": float("nan")}}, "split.validation:"),
    ({"scaling": {"method": "robust"}}, "scaling.method:"),
    ({"scaling": {"outputs": "shared"}}, "scaling.outputs: shared needs scope: global"),
    ({"network": {"layers": [{"units": 0}]}}, "network.layers.0.units:"),
    ({"network": {"layers": [{"units": 8, "activation": "evil"}]}}, "network.layers.0.activation:"),
    ({"network": {"layers": [{"units": 8}] * 33}}, "network.layers:"),
    ({"network": {"dtype": "float16"}}, "network.dtype:"),
    ({"network": {"polynomial_degree": 9}}, "network.polynomial_degree:"),
    ({"network": {"members": 0}}, "network.members:"),
    ({"network": {"members": 33}}, "network.members:"),
    ({"network": {"members": 32, "layers": [{"units": 1024}, {"units": 1024}]}}, "network.layers: more than"),
    ({"network": {"layers": [{"units": 8192}, {"units": 8192}]}}, "network.layers: more than"),
    ({"fit": {"epochs": 0}}, "fit.epochs:"),
    ({"fit": {"epochs": "3"}}, "fit.epochs:"),
    ({"fit": {"batch_size": 0}}, "fit.batch_size:"),
    ({"fit": {"loss": "mape"}}, "fit.loss:"),
    ({"fit": {"optimizer": {"name": "ftrl"}}}, "fit.optimizer:"),
    ({"fit": {"optimizer": {"learning_rate": 0}}}, "fit.optimizer.learning_rate:"),
    ({"fit": {"optimizer": {"learning_rate": float("inf")}}}, "fit.optimizer.learning_rate:"),
    ({"fit": {"optimizer": {"momentum": 0.9}}}, "fit.optimizer.momentum:"),
    ({"fit": {"early_stopping": {}}}, "fit.early_stopping: val_loss needs split.validation"),
    ({"fit": {"early_stopping": {"monitor": "loss", "patience": 0}}}, "fit.early_stopping.patience:"),
    ({"fit": {"schedule": "cosine"}}, "fit.schedule: must be an object"),
    ({"fit": {"schedule": {"name": "cyclic"}}}, "fit.schedule: must be one of 'cosine', 'exponential'"),
    ({"fit": {"schedule": {"name": "cosine", "warmup": 1}}}, "fit.schedule.warmup:"),
    ({"fit": {"schedule": {"name": "exponential", "final": 0}}}, "fit.schedule.final:"),
    ({"improves": "Line"}, "improves:"),
    ({"author": {"figure": 1, "metric": "guess"}}, "author.metric:"),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES)
def test_a_mistake_is_named_by_its_field(recipe: PatternSpec, mistake: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        recipe.overridden(mistake)
    assert message in str(refusal.value)


@pytest.mark.parametrize("recipe", [None, 3, "line", [], {}, {"name": "line"}])
def test_what_is_no_recipe_is_refused(recipe: object) -> None:
    with pytest.raises(RecipeError):
        PatternSpec.parse(recipe)


@pytest.mark.parametrize(
    ("many", "message"),
    [
        ({"rows": 10_000_000}, "data.rows"),
        ({"test": {"rows": 10_000_000}}, "data.test.rows"),
    ],
    ids=["training rows", "test rows"],
)
def test_a_table_that_would_fill_the_memory_is_refused(many: dict[str, Any], message: str) -> None:
    inputs = {f"x{place}": INTEGERS for place in range(100)}
    data = {
        "kind": "formula",
        "inputs": inputs,
        "outputs": {"y": "x1"},
        "rows": 100,
        "test": {"rows": 10, "inputs": inputs},
    }
    wide = PatternSpec.parse({"name": "wide", "data": data})
    with pytest.raises(RecipeError, match=message):
        wide.overridden({"data": many})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["name", "data", "split", "scaling", "network", "fit", "seed", "author", "other"])


@settings(max_examples=30)
@given(st.dictionaries(FIELDS, JUNK, max_size=4))
def test_any_json_is_a_recipe_or_a_recipe_error(junk: dict[str, Any]) -> None:
    try:
        CATALOGUE["add-ten"].overridden(junk)
    except RecipeError as refusal:
        assert str(refusal).encode()  # text that can be sent


# -- overriding ----------------------------------------------------------------------------------------------------


def test_overriding_reaches_one_deep_field_and_leaves_the_rest(recipe: PatternSpec) -> None:
    longer = recipe.overridden({"fit": {"optimizer": {"learning_rate": 0.5}}, "data": {"inputs": {"x": {"high": 7}}}})
    expected = recipe.to_json()
    expected["fit"]["optimizer"]["learning_rate"] = 0.5
    expected["data"]["inputs"]["x"]["high"] = 7
    assert longer.to_json() == expected


def test_another_seed_draws_other_weights_and_not_other_rows() -> None:
    data = {"kind": "table", "dataset": "iris", "target": ["species"]}
    table = PatternSpec.parse({"name": "t", "data": data, "seed": 5})
    again = table.overridden({"seed": 9})
    assert (table.data.seed, again.data.seed, again.seed) == (None, 5, 9)
    assert table.overridden({"seed": 9, "data": {"seed": 1}}).data.seed == 1
    assert table.overridden({"fit": {"epochs": 3}}).data.seed is None


def test_an_optimiser_of_another_name_replaces_the_old_one_whole(recipe: PatternSpec) -> None:
    tuned = recipe.overridden({"fit": {"optimizer": {"name": "momentum", "momentum": 0.5}}})
    assert tuned.fit.optimizer == Momentum(name="momentum", learning_rate=0.01, momentum=0.5, nesterov=False)
    assert tuned.overridden({"fit": {"optimizer": {"name": "sgd"}}}).fit.optimizer == Sgd(
        name="sgd", learning_rate=0.01
    )


def test_a_schedule_of_another_name_replaces_the_old_one_whole(recipe: PatternSpec) -> None:
    slow = recipe.overridden({"fit": {"schedule": {"name": "cosine", "warmup": 0.1}}})
    assert slow.overridden({"fit": {"schedule": {"final": 0.5}}}).fit.schedule == Cosine(
        name="cosine", final=0.5, warmup=0.1
    )
    assert slow.overridden({"fit": {"schedule": {"name": "exponential"}}}).fit.schedule == Exponential(
        name="exponential"
    )
    assert slow.overridden({"fit": {"schedule": None}}) == recipe


def test_another_rule_of_promotion_replaces_the_old_one_whole(recipe: PatternSpec) -> None:
    careful = recipe.overridden({"promotion": {"when": "if-better", "tolerance": 0.1}})
    assert careful.overridden({"promotion": {"tolerance": 0.2}}).promotion == Promotion(when="if-better", tolerance=0.2)
    assert careful.overridden({"promotion": {"when": "never"}}).promotion == Promotion(when="never")
    assert "promotion" not in careful.overridden({"promotion": None}).to_json()


def test_another_distribution_replaces_the_old_one_whole(recipe: PatternSpec) -> None:
    normal = recipe.overridden({"data": {"inputs": {"x": {"distribution": "normal"}}}})
    assert normal.to_json()["data"]["inputs"] == {"x": {"distribution": "normal", "mean": 0.0, "sd": 1.0}}


@pytest.mark.parametrize("column", ["name", "kind", "distribution"])
def test_a_column_may_be_called_what_recipes_call_their_kinds(recipe: PatternSpec, column: str) -> None:
    two = recipe.overridden({"data": {"outputs": {column: "x + 1"}}})
    assert two.overridden({"data": {"outputs": {column: "x + 2"}}}).to_json()["data"]["outputs"] == {
        "y": "x + 10",
        column: "x + 2",
    }


def test_the_name_and_the_whole_network_can_be_replaced(recipe: PatternSpec) -> None:
    other = recipe.overridden({"name": "other", "network": {"layers": []}})
    assert (other.name, other.network.layers, other.data) == ("other", (), recipe.data)


# -- as people write them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"), [("1e-3", 0.001), ("1E2", 100), ("0.001", 0.001), ("1.5e-2", 0.015), ("2", 2)]
)
def test_a_learning_rate_in_yaml_is_a_number_however_written(tmp_path: Path, written: str, meant: float) -> None:
    spec = PatternSpec.read(_yaml(tmp_path, f"fit: {{optimizer: {{name: sgd, learning_rate: {written}}}}}"))
    assert spec.fit.optimizer.learning_rate == meant


def test_min_max_is_accepted_as_minmax(tmp_path: Path) -> None:
    assert PatternSpec.read(_yaml(tmp_path, "scaling: {method: min-max}")).scaling.method == "minmax"


@pytest.mark.parametrize(
    "text",
    [
        "name: [",
        "\tname: line",
        "a: b: c",
        "name: !!python/object/apply:os.system [true]",
        "{[]: 1}",
        "just text",
        "",
        "--- 1\n--- 2",
        "seed: " + "1" * 5000,
        "description: 2001-99-99",
        "[" * 1000,
    ],
    ids=range(11),
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError):
        PatternSpec.read(path)


def test_a_file_that_is_not_text_or_far_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not YAML"):
        PatternSpec.read(path)
    path.write_bytes(b" " * (LARGEST_FILE + 1))
    with pytest.raises(RecipeError, match="is larger than"):
        PatternSpec.read(path)


def _yaml(folder: Path, more: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        f"name: line\ndata: {{kind: sequence, rows: 100, inputs: {{x: 0}}, outputs: {{y: x + 10}}}}\n{more}\n"
    )
    return path


# -- defaults of tables --------------------------------------------------------------------------------------------


def of_table(**changes: Any) -> PatternSpec:
    return PatternSpec.parse(
        {"name": "t", "data": {"kind": "table", "dataset": "iris", "target": "species"}, **changes}
    )


def test_a_table_is_learned_by_members_that_need_no_validation_rows() -> None:
    spec = of_table()
    assert (spec.network.members, spec.network.dropout, spec.fit.epochs) == ("auto", "auto", "auto")
    assert (spec.split.validation, spec.split.refit) == (0.0, True)
    assert (spec.network.most_members, spec.fit.most_epochs) == (8, 60)
    assert of_table(network={"members": 4}).split.validation == 0.0


@pytest.mark.parametrize(
    "changes", [{"split": {"validation": 0.1}}, {"split": {"validation": 0.0}, "fit": {"early_stopping": None}}]
)
def test_a_recipe_that_names_its_validation_share_is_of_one_network(changes: dict[str, Any]) -> None:
    spec = of_table(**changes)
    assert (spec.network.members, spec.network.dropout, spec.fit.most_epochs) == (1, 0.2, 300)
    assert spec.split.refit


def test_a_network_of_one_has_validation_rows() -> None:
    assert of_table(network={"members": 1}).split.validation == 0.2


def test_a_recipe_of_an_earlier_release_keeps_its_way() -> None:
    earlier = of_table(split={"validation": 0.2}).to_json()
    del earlier["network"]["members"], earlier["split"]["refit"], earlier["data"]["pairs"]
    spec = PatternSpec.parse(earlier)
    assert (spec.network.members, spec.fit.epochs, spec.split.refit) == (1, 300, True)


@pytest.mark.parametrize(("n_inputs", "members"), [(10, 8), (10_000, 8), (30_000, 4), (200_000, 2)])
def test_very_many_inputs_leave_room_for_fewer_members(n_inputs: int, members: int) -> None:
    assert of_table().network.members_for(n_inputs) == members


def test_a_pair_is_of_two_columns() -> None:
    with pytest.raises(RecipeError, match=r"data.*pairs: a pair is of two different columns"):
        of_table(data={"kind": "table", "dataset": "iris", "target": "species", "pairs": [["a", "a"]]})
