"""LiteRT models answer raw rows as the server does; what cannot be answered is NaN."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from models_store.bundle import Bundle
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import ExportDiffers, NotExpressible, RuntimeAbsent
from models_store.exports import litert_file, litert_runtime
from models_store.exports.exactness import difference
from models_store.exports.targets import export
from models_store.networks.architecture import Architecture, Layer
from tests.exported import WITHOUT_TEXT, bundle_of, bundles, probable, spelled
from tests.models_store.exports.test_pmml import filled

# Of sums in float32, in units of what an output varies by; rows are rounded before both are asked.
EXACT = 1e-4


@pytest.mark.keras
@settings(max_examples=25)
@given(bundle=bundles(WITHOUT_TEXT))
def test_a_model_answers_raw_rows_as_the_server_does(bundle: Bundle) -> None:
    sample = litert_file.in_float32(bundle)
    answers = answered(litert_runtime.written(litert_file.described(bundle, 3)), litert_file.rows_of(sample))
    assert difference(bundle, answers, sample.answers) <= EXACT


@pytest.mark.keras
@pytest.mark.parametrize("made", [filled, probable], ids=["a table", "labels"])
def test_a_file_is_tried_and_says_what_its_rows_are(made: Any) -> None:
    bundle = made()
    exported = export(bundle, 3, "litert")
    assert exported.rows > 500
    assert exported.difference < EXACT
    assert (exported.name, exported.media_type) == ("drawn-3.tflite", "application/octet-stream")
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        said = json.loads(archive.read("pattern.json"))
    assert [column["name"] for column in said["row"]] == [*bundle.inputs]
    assert said["answer"] == ({"labels": ["1", "2"]} if bundle.labels else {"outputs": ["y"]})
    codes = {column["name"]: column["codes"] for column in said["row"] if "codes" in column}
    assert codes == ({" c ": ["a & <b>", "größe", "line\nend", 'say "hi"']} if made is filled else {})


@pytest.mark.keras
def test_what_the_server_refuses_is_nan() -> None:
    model = litert_runtime.written(litert_file.described(probable(), 1))
    answers = answered(model, np.array([[np.inf], [np.nan], [1.0]], dtype=np.float32))
    assert np.isnan(answers).all(axis=1).tolist() == [True, True, False]


@pytest.mark.keras
def test_a_number_is_no_less_exact_for_being_far_from_zero() -> None:
    raw = np.linspace(2000, 2001, 24)[:, None]
    encoder = InputEncoder(("year",), 1, Scaler.standard(raw), "float32")
    decoder = OutputDecoder(("y",), Scaler.standard(raw), "float32")
    bundle = bundle_of(raw, encoder, decoder, Architecture(1, (Layer(9, "tanh"), Layer(1, "linear")), "float32"))
    sample = litert_file.in_float32(bundle)
    answers = answered(litert_runtime.written(litert_file.described(bundle, 1)), litert_file.rows_of(sample))
    assert difference(bundle, answers, sample.answers) < 1e-6


def test_texts_are_refused_with_the_reason() -> None:
    with pytest.raises(NotExpressible, match="column x is text; export it to python or js"):
        export(spelled(), 1, "litert")


def test_without_tensorflow_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert_file, "find_spec", lambda _name: None)
    with pytest.raises(RuntimeAbsent, match=r"TensorFlow, which writes the model, is not here; export it on a machine"):
        export(probable(), 1, "litert")


@pytest.mark.keras
def test_what_is_no_model_is_not_handed_out() -> None:
    with pytest.raises(ExportDiffers, match="its runtime said: ValueError: "):
        litert_file.answers(b"no model", litert_file.in_float32(probable()))


def answered(model: bytes, rows: Any) -> Any:
    return litert_runtime.answered(model, rows).astype(np.float64)
