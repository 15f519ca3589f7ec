"""ONNX graphs answer raw columns as the server does; what cannot be answered is NaN."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings

from models_store.bundle import Bundle
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import ExportDiffers, NotExpressible
from models_store.exports import targets
from models_store.exports.targets import export
from models_store.networks.architecture import Architecture, Layer
from tests.exported import WITHOUT_TEXT, bundle_of, bundles, probable, spelled


@settings(max_examples=60)
@given(bundle=bundles(WITHOUT_TEXT))
def test_a_graph_answers_raw_columns_as_the_server_does(bundle: Bundle) -> None:
    exported = export(bundle, 3, "onnx")
    assert exported.rows > 500
    assert exported.difference <= (1e-12 if bundle.architecture.dtype == "float64" else 1e-6)
    onnx.checker.check_model(onnx.load_from_string(exported.content), full_check=True)


@settings(max_examples=20)
@given(bundle=bundles())
def test_the_network_alone_answers_encoded_rows(bundle: Bundle) -> None:
    exported = export(bundle, 3, "onnx-net")
    assert exported.difference <= (1e-12 if bundle.architecture.dtype == "float64" else 1e-6)
    assert {node.domain for node in onnx.load_from_string(exported.content).graph.node} == {""}


def test_texts_are_refused_with_the_reason() -> None:
    with pytest.raises(NotExpressible, match="column x is text; export it to python or js"):
        export(spelled(), 1, "onnx")


def test_a_label_and_the_probabilities_are_answered() -> None:
    bundle = probable()
    session = onnxruntime.InferenceSession(export(bundle, 1, "onnx").content)
    labels, likely = session.run(["class", "probabilities"], {"x": np.array([[1.0], [-4.0]])})
    expected = bundle.predict(np.array([[1.0], [-4.0]]))
    np.testing.assert_allclose(likely, expected, atol=1e-6)
    assert labels.tolist() == [[int(label)] for label in expected.argmax(axis=1) + 1]


def of_another_operator(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.op_type == "ArgMax").op_type = "ArgMin"


def with_another_name(model: onnx.ModelProto) -> None:
    named = next(node for node in model.graph.node if "class" in node.output)
    named.output[0] = model.graph.output[0].name = "klass"


def with_an_unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "NoSuchOperator"


def with_another_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.DOUBLE, ["rows", 1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_another_operator, "in 1008 of 1008 rows its label is not the most probable one"),
        (with_another_name, "its answers have other columns than the server's"),
        (with_an_unknown_operator, "its runtime said: .*NoSuchOperator"),
        (with_another_input, "its runtime said: "),
    ],
)
def test_a_graph_that_answers_otherwise_is_not_handed_out(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[onnx.ModelProto], None], words: str
) -> None:
    honest = targets.BY_NAME["onnx"]
    changed = replace(honest, write=lambda bundle, version: rewritten(honest.write(bundle, version), change))
    monkeypatch.setattr(targets, "BY_NAME", {"onnx": changed})
    with pytest.raises(ExportDiffers, match=words):
        export(probable(), 1, "onnx")


def test_what_is_no_graph_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(targets.BY_NAME["onnx-net"], write=lambda _bundle, _version: b"no graph")
    monkeypatch.setattr(targets, "BY_NAME", {"onnx-net": broken})
    with pytest.raises(ExportDiffers, match="its runtime said: "):
        export(probable(), 1, "onnx-net")


def rewritten(content: bytes, change: Callable[[onnx.ModelProto], None]) -> bytes:
    model = onnx.load_from_string(content)
    change(model)
    saved: bytes = model.SerializeToString()
    return saved


def test_what_the_server_refuses_is_nan() -> None:
    session = onnxruntime.InferenceSession(export(probable(), 1, "onnx").content)
    [likely] = session.run(["probabilities"], {"x": np.array([[1e300], [np.nan], [np.inf], [1.0]])})
    assert np.isnan(likely).all(axis=1).tolist() == [True, True, True, False]


def test_an_answer_beyond_the_largest_number_is_nan() -> None:
    session = onnxruntime.InferenceSession(export(line_of("x", scale=1e150), 1, "onnx").content)
    [answers] = session.run(["y"], {"x": np.array([[1e300], [1.0]])})
    assert np.isnan(answers).tolist() == [[True], [False]]


@pytest.mark.parametrize("name", ["~constant_0", "~~constant_0", "~Sub_1", "~labels"])
def test_a_column_may_be_called_as_an_operator_is(name: str) -> None:
    assert export(line_of(name), 1, "onnx").difference == 0


def line_of(name: str, scale: float = 1.0) -> Bundle:
    """Return a pattern with one column of numbers and one linear layer."""
    raw = np.linspace(-1000, 1000, 16).reshape(-1, 1)
    encoder = InputEncoder((name,), 1, Scaler.standard(raw), "float64")
    decoder = OutputDecoder(("y",), Scaler("standard", np.zeros(1), np.array([scale])), "float64")
    return bundle_of(raw, encoder, decoder, Architecture(1, (Layer(1, "linear"),), "float64"))


def test_a_graph_says_what_it_is_and_how_exact() -> None:
    model = onnx.load_from_string(export(spelled(has_text=False), 7, "onnx").content)
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert (facts["pattern"], facts["version"], facts["tolerance"]) == ("drawn", "7", "1e-09")
    types = {given.name: given.type.tensor_type.elem_type for given in model.graph.input}
    assert types["c"] == onnx.TensorProto.STRING
    assert types["n"] == types["b"] == types["d"] == onnx.TensorProto.DOUBLE
