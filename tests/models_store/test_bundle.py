"""Bundles: raw values in, raw values out, the same after a trip through their files, and no other files will do."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.arrays import Encoded
from models_store.bundle import Bundle, Predictor
from models_store.errors import BundleDamaged, NotFinite
from models_store.networks.architecture import Architecture, Layer
from models_store.tables.table import Table, take
from tests.fakes import LinearNetwork, changed, line, rows
from tests.table_fakes import flowers, messages, passengers, rents, table_of

Files = dict[str, bytes]


@pytest.fixture
def files(bundle: Bundle) -> Files:
    return bundle.to_files()


def read(files: Files) -> Bundle:
    return Bundle.from_files(files, LinearNetwork.from_bytes)


def test_raw_values_go_in_and_raw_values_come_out(bundle: Bundle) -> None:
    assert bundle.predict(rows(0, 1, 150)).tolist() == [[0], [2], [300]]
    assert (bundle.inputs, bundle.outputs) == (("x",), ("y",))


def test_no_rows_have_no_answers(bundle: Bundle) -> None:
    assert bundle.predict(rows()).shape == (0, 1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_a_bundle_predicts_the_same_after_a_trip_through_its_files(values: list[float]) -> None:
    bundle = line(slope=-3.0)
    assert read(bundle.to_files()).predict(rows(*values)).tolist() == bundle.predict(rows(*values)).tolist()


def test_a_bundle_is_the_same_after_a_trip_through_its_files(bundle: Bundle, files: Files) -> None:
    restored = read(files)
    assert restored.to_files() == files
    assert (restored.pattern, restored.recipe, restored.card, restored.history, restored.evaluation) == (
        bundle.pattern,
        bundle.recipe,
        bundle.card,
        bundle.history,
        bundle.evaluation,
    )


def test_rows_outside_the_training_range_are_named_with_their_columns(bundle: Bundle) -> None:
    assert bundle.outside(rows(0, 16, 16.5, -1)) == [{"row": 2, "columns": ["x"]}, {"row": 3, "columns": ["x"]}]


# -- numbers that are too large ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e300, -1e300, 1e40, np.inf, np.nan])
def test_a_row_that_overflows_is_refused_by_its_number(bundle: Bundle, value: float) -> None:
    with pytest.raises(NotFinite) as refusal:
        bundle.predict(rows(1, 2, value, 4))
    assert refusal.value.row == 2


def test_a_row_that_overflows_spoils_no_other(bundle: Bundle) -> None:
    answers = bundle.predictor.answers(rows(1, 1e300, 3))
    np.testing.assert_array_equal(answers, rows(2, np.nan, 6))


def test_an_answer_that_overflows_is_refused_as_well() -> None:
    steep = line(slope=1e38)
    with pytest.raises(NotFinite) as refusal:
        steep.predict(rows(8, 1000))
    assert refusal.value.row == 1


class Saturating(LinearNetwork):
    """outputs = tanh(rows @ k), which is 1 for infinite rows."""

    def __call__(self, encoded: Encoded) -> Encoded:
        return np.tanh(super().__call__(encoded))


def test_a_finite_answer_to_an_infinite_input_counts_for_nothing(bundle: Bundle) -> None:
    network = Saturating(np.array([[1.0]], dtype=np.float32))
    saturating = Predictor(bundle.predictor.encoder, network, bundle.predictor.decoder)
    np.testing.assert_array_equal(saturating.answers(rows(1e300, 1e9)), rows(np.nan, 24))


# -- files that are not a bundle's ---------------------------------------------------------------------------------


NAMES = ["bundle.json", "network.keras", "history.json", "evaluation.json", "golden.json"]


def in_file(name: str) -> str:
    """A pattern for messages that begin with the name of the file."""
    return f"^{re.escape(name)}: "


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_found(files: Files, name: str) -> None:
    del files[name]
    with pytest.raises(BundleDamaged, match=in_file(name) + "the file is missing$"):
        read(files)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_not_json_is_found(files: Files, name: str, content: bytes) -> None:
    with pytest.raises(BundleDamaged, match=in_file(name) + "(not JSON|Invalid JSON|not UTF-8|nested too deeply)"):
        read({**files, name: content})


HISTORY = "history.json"


@pytest.mark.parametrize("name", ["bundle.json", "network.keras", "evaluation.json", "golden.json", HISTORY])
@pytest.mark.parametrize("content", [b"[]", b"null", b"7", b'"text"'])
def test_a_file_that_holds_something_else_is_found(files: Files, name: str, content: bytes) -> None:
    with pytest.raises(BundleDamaged, match=in_file(name)):
        read({**files, name: content})


def layered(n_inputs: int, *layers: dict[str, Any], dtype: object = "float32") -> dict[str, Any]:
    return {"architecture": {"n_inputs": n_inputs, "layers": layers, "dtype": dtype}}


NO_DTYPE = "dtype: expected float32 or float64"
OTHERWISE = "something in it is missing, or of another kind than expected"
MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"format": 2}, "format: found 2, and only 1 is read here; another release wrote it"),
    ({"format": None}, "format: found None, and only 1 is read here; another release wrote it"),
    ({"format": "1"}, "format: found '1', and only 1 is read here; another release wrote it"),
    ({"pattern": None}, "pattern: expected a text"),
    ({"recipe": None}, f"recipe: {OTHERWISE}"),
    ({"card": {}}, "card.inputs: missing"),
    ({"card": None}, "card: expected a valid dictionary or instance of Card"),
    ({"encoder": {}}, "encoder.columns: missing"),
    ({"encoder": None}, f"encoder: {OTHERWISE}"),
    ({"decoder": []}, f"decoder: {OTHERWISE}"),
    (
        layered(2, {"units": 1, "activation": "linear"}),
        "architecture: 2 inputs and 1 outputs, but the encoder makes 1 inputs and the decoder takes 1 outputs",
    ),
    (
        layered(1, {"units": 2, "activation": "linear"}),
        "architecture: 1 inputs and 2 outputs, but the encoder makes 1 inputs and the decoder takes 1 outputs",
    ),
    (layered(1, {"units": 1}), f"architecture: {OTHERWISE}"),
    (layered(1, {"units": 1, "activation": "linear"}, dtype="1" * 5000), f"architecture: {NO_DTYPE}"),
    (layered(1, {"units": 1, "activation": "linear"}, dtype="float16"), f"architecture: {NO_DTYPE}"),
    (layered(1, {"units": 1, "activation": "linear"}, dtype=["float32"]), f"architecture: {NO_DTYPE}"),
    (layered(1), f"architecture: {OTHERWISE}"),
]


@pytest.mark.parametrize(("wrong", "said"), MISFITS, ids=map(str, range(len(MISFITS))))
def test_a_description_that_does_not_fit_together_is_found(files: Files, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleDamaged) as refusal:
        read({**files, "bundle.json": changed(files["bundle.json"], **wrong)})
    assert str(refusal.value) == f"bundle.json: {said}"


def test_a_number_that_a_card_lacks_is_named_with_all_that_it_lies_in(files: Files) -> None:
    card = json.loads(files["bundle.json"])["card"]
    del card["train"]["rows"]
    with pytest.raises(BundleDamaged, match=r"^bundle\.json: card\.train\.rows: missing$"):
        read({**files, "bundle.json": changed(files["bundle.json"], card=card)})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("history.json", b'{"loss": [0.5, null]}', "history.json: loss.1: expected a valid number"),
        ("evaluation.json", b'{"predicted": [[1.0]]}', "evaluation.json: labels: missing"),
        ("golden.json", b'{"outputs": [[1.0]]}', "golden.json: inputs: missing"),
        ("golden.json", b'{"inputs": [1.0], "outputs": [[1.0]]}', "golden.json: inputs: expected rows of numbers"),
        (
            "golden.json",
            b'{"inputs": [[4.0]], "outputs": [[8.0, 8.0]]}',
            r"golden.json: outputs of shape \(1, 2\), but",
        ),
        (
            "golden.json",
            b'{"inputs": [[1' + b"0" * 400 + b']], "outputs": [[8.0]]}',
            f"golden.json: inputs: {OTHERWISE}",
        ),
        ("network.keras", b"[[1.0, 2.0]]", "network.keras: the network does not have the shape of its recipe"),
    ],
)
def test_a_field_that_does_not_hold_what_it_should_is_named(files: Files, name: str, content: bytes, said: str) -> None:
    with pytest.raises(BundleDamaged, match=f"^{said}"):
        read({**files, name: content})


@pytest.mark.parametrize("outputs", [[[0.0], [8.01], [32.0]], [[0.0], [8.0], [None]], [[0.0], [8.0], [float("nan")]]])
def test_a_changed_golden_answer_is_found(files: Files, outputs: list[list[float]]) -> None:
    with pytest.raises(BundleDamaged):
        read({**files, "golden.json": changed(files["golden.json"], outputs=outputs)})


def test_a_golden_answer_may_differ_by_what_another_device_rounds(files: Files) -> None:
    nearly = changed(files["golden.json"], outputs=[[0.0], [8.0001], [32.0]])
    assert read({**files, "golden.json": nearly}).pattern == "line"


@pytest.mark.parametrize(
    "golden",
    [
        {"inputs": [], "outputs": []},
        {"outputs": []},
        {"inputs": [[0.0]]},
        {"inputs": [[0.0], [4.0], [1e300]]},
        {"inputs": [[0.0, 0.0], [4.0, 4.0], [16.0, 16.0]]},
        {"inputs": [0.0, 4.0, 16.0]},
        {"inputs": "text"},
        {"inputs": {"x": [0.0, 4.0, 16.0]}},
    ],
)
def test_golden_rows_that_prove_nothing_are_refused(files: Files, golden: dict[str, Any]) -> None:
    with pytest.raises(BundleDamaged):
        read({**files, "golden.json": changed(files["golden.json"], **golden)})


def test_a_network_that_answers_otherwise_is_found(files: Files) -> None:
    with pytest.raises(BundleDamaged, match="golden rows"):
        read({**files, "network.keras": LinearNetwork(np.array([[1.001]], dtype=np.float32)).to_bytes()})


def test_a_bundle_whose_golden_rows_have_no_answer_makes_no_files(bundle: Bundle) -> None:
    unfit = Bundle(**{**vars(bundle), "golden_inputs": rows(1e300)})
    with pytest.raises(NotFinite):
        unfit.to_files()


# -- tables --------------------------------------------------------------------------------------------------------

TABLES = [passengers, flowers, messages, rents]


@pytest.mark.parametrize("make", TABLES)
def test_a_table_pattern_is_the_same_after_a_trip_through_its_files(make: Callable[[], Bundle]) -> None:
    bundle = make()
    restored = read(bundle.to_files())
    assert restored.to_files() == bundle.to_files()
    assert (restored.kinds, restored.labels, restored.outputs) == (bundle.kinds, bundle.labels, bundle.outputs)
    np.testing.assert_array_equal(restored.predict(bundle.golden_inputs), bundle.predict(bundle.golden_inputs))


def test_a_permuted_table_has_permuted_answers() -> None:
    bundle = passengers()
    order = [3, 1, 7, 0, 2, 6, 5, 4]
    permuted = take(bundle.golden_inputs, order)
    np.testing.assert_allclose(bundle.predict(permuted), bundle.predict(bundle.golden_inputs)[order], rtol=1e-6)


def test_the_order_of_a_tables_columns_does_not_matter() -> None:
    bundle = passengers()
    assert isinstance(bundle.golden_inputs, Table)
    turned = Table(dict(reversed(list(bundle.golden_inputs.columns.items()))))
    np.testing.assert_array_equal(bundle.predict(turned), bundle.predict(bundle.golden_inputs))


def test_a_table_too_large_to_be_encoded_at_once_is_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = passengers()
    together = bundle.predict(bundle.golden_inputs)
    monkeypatch.setattr("models_store.bundle.MOST_ENCODED", 3 * bundle.predictor.encoder.n_inputs)
    np.testing.assert_allclose(bundle.predict(bundle.golden_inputs), together, rtol=1e-6)


def test_of_a_table_unseen_categories_are_named_and_on_request_all_that_is_outside() -> None:
    bundle = passengers()
    table = table_of(
        bundle.kinds,
        [
            [22, "S", True, "1912-04-10", "cabin"],
            [22, "sesame", True, "1912-04-10", "cabin"],
            [99, None, True, "1913-04-10", "sesame"],
            [None, None, True, "1912-04-10", "cabin"],
        ],
    )
    assert bundle.unseen(table) == [{"row": 1, "columns": ["port"]}]
    assert bundle.outside(table) == [
        {"row": 1, "columns": ["port"]},
        {"row": 2, "columns": ["age", "boarded", "note"]},
    ]
    assert line().unseen(rows(1e9)) == []


def test_the_sample_of_a_table_holds_what_json_can_say() -> None:
    assert json.loads(json.dumps(passengers().sample(), allow_nan=False)) == passengers().sample()


@pytest.mark.parametrize("wrong", [None, "sesame", [], {}, [None], {"sesame": 1}, [[1]]], ids=str)
def test_a_damaged_encoder_of_a_column_is_found_or_means_the_same(wrong: Any) -> None:
    files = passengers().to_files()
    encoder = json.loads(files["bundle.json"])["encoder"]
    for name, column in encoder["table"].items():
        for part in column:
            table = {**encoder["table"], name: {**column, part: wrong}}
            damaged = changed(files["bundle.json"], encoder={**encoder, "table": table})
            try:
                restored = read({**files, "bundle.json": damaged})
            except BundleDamaged:
                continue
            assert restored.to_files()["golden.json"] == files["golden.json"], (name, part)
        damaged = changed(files["bundle.json"], encoder={**encoder, "table": {**encoder["table"], name: wrong}})
        with pytest.raises(BundleDamaged, match=r"^bundle\.json: encoder"):
            read({**files, "bundle.json": damaged})
    with pytest.raises(BundleDamaged):
        read({**files, "bundle.json": changed(files["bundle.json"], encoder={**encoder, "table": wrong})})


@pytest.mark.parametrize("wrong", [None, 1, ["S"], "sesame", [1] * 8, [["S"]] * 8, [None] * 8], ids=str)
def test_golden_rows_that_hold_something_else_are_found(wrong: Any) -> None:
    files = passengers().to_files()
    golden = json.loads(files["golden.json"])["inputs"]
    for name in golden:
        with pytest.raises(BundleDamaged, match=in_file("golden.json")):
            read({**files, "golden.json": changed(files["golden.json"], inputs={**golden, name: wrong})})


def test_golden_rows_of_a_table_that_are_no_columns_are_found() -> None:
    files = passengers().to_files()
    with pytest.raises(BundleDamaged, match=r"^golden\.json: inputs: expected a list of values for each column"):
        read({**files, "golden.json": changed(files["golden.json"], inputs=[[1.0]] * 8)})


# -- architectures -------------------------------------------------------------------------------------------------


def test_an_architecture_counts_its_parameters() -> None:
    architecture = Architecture(4, (Layer(8, "relu"), Layer(2, "linear")))
    assert architecture.weight_shapes == [(4, 8), (8,), (8, 2), (2,)]
    assert (architecture.n_parameters, architecture.n_outputs) == (4 * 8 + 8 + 8 * 2 + 2, 2)
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture
