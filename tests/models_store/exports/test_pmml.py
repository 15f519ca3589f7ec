"""PMML answers raw columns as the server does, in JPMML and in PMML4S."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.bundle import Bundle
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.outputs import Decoder, LabelDecoder, OutputDecoder
from models_store.encoding.pairs import PairEncoder
from models_store.encoding.rows import InputEncoder, TableEncoder, monomials
from models_store.encoding.scaler import Scaler
from models_store.errors import ExportDiffers, NotExpressible, RuntimeAbsent
from models_store.exports import pmml_trial
from models_store.exports.pmml_file import pmml_file
from models_store.exports.sample import Sample
from models_store.exports.targets import export
from models_store.networks.architecture import Architecture, Layer
from models_store.tables.table import Kind, Table, column_of, take
from tests.exported import PMML_PYTHON, bundle_of, probable, spelled, with_pmml
from tests.table_fakes import encoder_of

NAMESPACE = {"": "http://www.dmg.org/PMML-4_4"}
EXACT = 1e-12


@pytest.fixture(autouse=True)
def _the_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pmml_trial.PYTHON, str(PMML_PYTHON))


def formula(
    decoder: Decoder, activations: list[str], members: int = 1, names: tuple[str, ...] = ("x", "y z")
) -> Bundle:
    raw = np.random.default_rng(0).normal(size=(16, len(names))) * 5
    encoder = InputEncoder(names, 2, Scaler.standard(monomials(raw, 2)), "float64")
    *hidden, last = activations
    layers = (*(Layer(4, activation) for activation in hidden), Layer(decoder.n_outputs, last))
    return bundle_of(raw, encoder, decoder, Architecture(encoder.n_inputs, layers, "float64", members))


def numbers(*names: str) -> OutputDecoder:
    scaler = Scaler("standard", np.linspace(-7.5, 2, len(names)), np.linspace(0.5, 3, len(names)))
    return OutputDecoder(names, scaler, "float64")


def filled() -> Bundle:
    """Return a pattern whose missing cells are filled, with categories' means, pieces, and a pair of columns."""
    cells: dict[str, list[Any]] = {
        "n": [float(place**2) for place in range(16)],
        "m": [float(place % 5) for place in range(15)] + [None],
        " c ": ["a & <b>", 'say "hi"', "line\nend", "größe"] * 4,
        "b": [0.0, 1.0] * 8,
    }
    kinds: dict[str, Kind] = {"n": "number", "m": "number", " c ": "category", "b": "boolean"}
    columns = {name: column_of(kinds[name], cells[name]) for name in cells}
    encoders: dict[str, ColumnEncoder] = {name: encoder_of(kinds[name], columns[name]) for name in cells}
    encoders["n"] = NumberEncoder.fit(columns["n"], bins=5)
    category = encoders[" c "]
    assert isinstance(category, CategoryEncoder)
    means = {value: (float(place), -0.25) for place, value in enumerate(category.values)}
    encoders[" c "] = replace(category, values=category.values[:2], means=means)
    pair = PairEncoder.fit(("n", "m"), (columns["n"], columns["m"]), 3)
    fills: dict[str, float | str] = {"n": 9.0, " c ": "größe", "b": 1.0}
    encoder = TableEncoder(encoders, "float64", fills=fills, pairs=(pair,))
    architecture = Architecture(encoder.n_inputs, (Layer(5, "relu"), Layer(1, "linear")), "float64")
    return bundle_of(Table(columns), encoder, numbers("y"), architecture)


COMPOSED = ["elu", "selu", "leaky_relu", "softsign", "linear"]
PATTERNS: dict[str, Callable[[], Bundle]] = {
    "every kind of column": lambda: spelled(has_text=False),
    "filled": filled,
    "several outputs of several members": lambda: formula(numbers("y", "price, net"), COMPOSED, 3),
    "labels of several members": lambda: formula(LabelDecoder("is", ("a", "<", '"'), dtype="float64"), ["softmax"], 2),
    "two labels": lambda: formula(
        LabelDecoder("is", ("false", "true"), "boolean"), ["tanh", "sigmoid"], 2, ("~", "~~")
    ),
}


@with_pmml
@pytest.mark.parametrize("name", PATTERNS)
def test_both_runtimes_answer_as_the_server_does(name: str) -> None:
    exported = export(PATTERNS[name](), 3, "pmml")
    assert exported.rows > 500
    assert exported.difference < EXACT
    assert (exported.name, exported.media_type) == ("drawn-3.pmml", "application/xml")


@with_pmml
def test_the_answer_of_the_runtime_that_is_farther_counts() -> None:
    bundle = probable()
    root = ET.fromstring(pmml_file(bundle, 1))
    [last] = root.findall("NeuralNetwork/NeuralLayer", NAMESPACE)[-1:]
    last[0].set("bias", "0.001")
    sample = Sample.of(bundle, 10)
    apart = np.abs(pmml_trial.answers(ET.tostring(root), sample) - sample.answers)
    assert apart.max() > 1e-4
    with pytest.raises(ExportDiffers, match="its runtime said"):
        pmml_trial.answers(b"<PMML/>", sample)


@with_pmml
@pytest.mark.parametrize("kind", ["number", "boolean", "category", "date"])
def test_a_value_that_may_not_be_missing_is_answered_with_nothing(kind: Kind) -> None:
    cells: list[Any] = ["red", "blue"] * 8 if kind == "category" else [0.0, 1.0] * 8
    columns = {"x": column_of(kind, cells), "n": column_of("number", [1.0, None] * 8)}
    encoders = {"x": encoder_of(kind, columns["x"]), "n": encoder_of("number", columns["n"])}
    encoder = TableEncoder(encoders, "float64")
    architecture = Architecture(encoder.n_inputs, (Layer(3, "tanh"), Layer(1, "linear")), "float64")
    bundle = bundle_of(Table(columns), encoder, numbers("y"), architecture)
    raw = Table({"x": column_of(kind, [None, cells[0]]), "n": column_of("number", [1.0, 1.0])})
    expected = np.full((2, 1), bundle.predict(take(raw, [1]))[0, 0])
    answers = pmml_trial.told(pmml_file(bundle, 1), Sample(bundle.predictor, {}, raw, expected))
    for answered in answers:
        assert np.isnan(answered[:, 0]).tolist() == [True, False]
        assert answered[1] == pytest.approx(expected[1])


def test_ranges_are_annotations_and_gaps_are_filled_only_where_the_pattern_fills_them() -> None:
    root = ET.fromstring(pmml_file(filled(), 1))
    fills = {
        field.get("name"): field.get("missingValueReplacement") for field in root.iterfind(".//MiningField", NAMESPACE)
    }
    assert fills == {"n": "9.0", "m": None, " c ": "größe", "b": "true", "y": None}
    assert not root.findall(".//Interval", NAMESPACE)
    field = ET.fromstring(pmml_file(formula(numbers("y"), ["linear"]), 1)).find(".//DataField", NAMESPACE)
    assert field is not None
    assert (field.get("name"), field.get("dataType")) == ("x", "double")
    assert {fact.get("name") for fact in field} == {"minimum", "maximum", "missing"}
    target = root.find(".//Target", NAMESPACE)
    assert target is not None
    assert (target.get("rescaleFactor"), target.get("rescaleConstant")) == ("0.5", "-7.5")


@pytest.mark.parametrize(
    ("bundle", "words"),
    [
        (spelled, "cannot be exported to pmml: column x is text; export it to python or js"),
        (lambda: formula(numbers("y"), ["silu", "linear"]), "PMML has no silu; train with relu, elu, tanh"),
        (lambda: formula(numbers("y"), ["linear"], names=("a\x00b",)), "XML has no way to write"),
        (
            lambda: formula(numbers("y"), ["linear"], names=("predicted_y",)),
            "column predicted_y is called as an answer is",
        ),
    ],
)
def test_what_cannot_be_expressed_is_refused_with_the_reason(bundle: Any, words: str) -> None:
    with pytest.raises(NotExpressible, match=words):
        export(bundle(), 1, "pmml")


def test_without_the_runtimes_nothing_is_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pmml_trial.PYTHON)
    with pytest.raises(RuntimeAbsent, match=r"jpmml_evaluator.* is not here; pip install .*PMML_PYTHON name"):
        export(probable(), 1, "pmml")
    monkeypatch.setenv(pmml_trial.PYTHON, "/nowhere/python")
    with pytest.raises(RuntimeAbsent, match="/nowhere/python is not here; pip install"):
        export(probable(), 1, "pmml")
