"""TensorFlow Serving's REST protocol, version 1: rows or columns in, predictions or outputs out.

bytes -> TensorFlowServingQuestion (rows, layout) -> answers -> bytes
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from app.dialects.asked import AskedRows
from app.envelopes import Envelope
from app.errors import Malformed, Unprocessable
from app.formats import json_rows, strict_json
from app.formats.expected import Expected
from app.formats.found import kind_of
from app.formats.json_numbers import rows_of_numbers
from app.formats.reply import Layout, Reply
from app.statuses import STATUS
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.encoding.outputs import LabelDecoder
from models_store.errors import UnknownAlias, UnknownPattern, UnknownVersion
from models_store.storage.store import Release
from models_store.tables.table import Kind

SIGNATURE = "serving_default"
NOT_FOUND = {kind.code for kind in (UnknownPattern, UnknownVersion, UnknownAlias)}
DTYPES: dict[Kind, str] = {
    "number": "DT_FLOAT",
    "boolean": "DT_BOOL",
    "category": "DT_STRING",
    "date": "DT_STRING",
    "time": "DT_STRING",
    "duration": "DT_STRING",
    "text": "DT_STRING",
}
LABEL_DTYPES = {"b": "DT_BOOL", "i": "DT_INT64", "f": "DT_DOUBLE", "O": "DT_STRING"}

ENVELOPE = Envelope(
    lambda _status, code, message, _request_id: {
        "error": f"Servable not found for request: {message}" if code in NOT_FOUND else message
    },
    unprocessable=STATUS[Malformed],
    name="PlainError",
)


@dataclass(frozen=True, eq=False)
class TensorFlowServingQuestion(AskedRows):
    """Raw rows in the card's column order, and the layout and the key of their answers."""

    layout: Layout = "flat"
    key: Literal["predictions", "outputs", "results"] = "results"
    is_light: bool = False


# -- questions -----------------------------------------------------------------------------------------------------


def read_tensors(body: bytes, expected: Expected, max_rows: int) -> TensorFlowServingQuestion:
    """Read the body of :predict. Raises Malformed, TooManyRows, or Unprocessable, which names row and column."""
    if not expected.typed and (read := rows_of_numbers(body, "instances", len(expected.names), max_rows)) is not None:
        layout, numbers = read
        return TensorFlowServingQuestion(numbers, layout, "predictions")
    document = _object(body, expected, max_rows)
    match "instances" in document, "inputs" in document:
        case True, False:
            if not isinstance(document["instances"], list):
                found = kind_of(document["instances"])
                raise Unprocessable("bad_layout", f"'instances' must be a list, found {found}")
            layout, rows = json_rows.rows_of(document["instances"], expected, max_rows)
            raw = json_rows.raw_of(json_rows.scalars(rows), expected)
            return TensorFlowServingQuestion(raw, layout, "predictions")
        case False, True:
            layout, rows = json_rows.rows_of(document["inputs"], expected, max_rows)
            raw = json_rows.raw_of(json_rows.scalars(rows), expected)
            return TensorFlowServingQuestion(raw, layout, "outputs")
        case False, False:
            raise Unprocessable("bad_body", "Missing 'inputs' or 'instances' key")
    raise Unprocessable("bad_body", "expecting only one of 'inputs' or 'instances' keys to exist")


def read_examples(body: bytes, expected: Expected, max_rows: int) -> TensorFlowServingQuestion:
    """Read the body of :classify or :regress. Raises as `read_tensors` does."""
    document = _object(body, expected, max_rows)
    examples = json_rows.objects_of(document.get("examples"), "'examples'", "bad_body")
    context = document.get("context", {})
    if not isinstance(context, dict):
        raise Unprocessable("bad_body", f"'context' must be an object, found {kind_of(context)}")
    return question_of(examples, context, expected, max_rows)


def question_of(
    examples: list[dict[str, Any]], context: dict[str, Any], expected: Expected, max_rows: int
) -> TensorFlowServingQuestion:
    """Return the question of examples, in each of which stands the context too. Raises TooManyRows or Unprocessable."""
    if any(not context.keys().isdisjoint(example) for example in examples):
        raise Unprocessable("duplicate_column", "what stands in 'context' must not stand in 'examples' as well")
    _, rows = json_rows.rows_of([context | example for example in examples], expected, max_rows)
    return TensorFlowServingQuestion(json_rows.raw_of(json_rows.scalars(rows), expected))


def _object(body: bytes, expected: Expected, max_rows: int) -> dict[str, Any]:
    decoder = strict_json.WITH_NAN if "b64" in expected.names else strict_json.WITH_NAN_AND_BYTES
    # Each cell may be a list of its own.
    document = json_rows.loads(body, expected, max_rows, decoder, brackets_a_row=len(expected.names) + 1)
    if not isinstance(document, dict):
        raise Unprocessable("bad_body", f"the body must be a JSON object, found {kind_of(document)}")
    check_signature(document.get("signature_name", ""))
    return document


def check_signature(name: Any) -> None:
    if name not in (SIGNATURE, ""):
        raise Unprocessable("bad_parameter", f"Serving signature name not found in signature def; it has {SIGNATURE}")


# -- answers -------------------------------------------------------------------------------------------------------


def write_tensors(bundle: Bundle, question: TensorFlowServingQuestion, answers: Array) -> bytes:
    """Write `answers`, float64 (n_rows, n_outputs), as numbers or labels."""
    laid_out = _laid_out(Reply(bundle, answers), question)
    return orjson.dumps({question.key: laid_out}, option=orjson.OPT_SERIALIZE_NUMPY)


def _laid_out(reply: Reply, question: TensorFlowServingQuestion) -> Any:
    """Return the outputs in the layout of the question; the name of a single output is left out."""
    if question.layout == "record":
        outputs = reply.in_layout("record")["outputs"]
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs
    several: Layout = "records" if question.key == "predictions" else "columns"
    return reply.in_layout("flat" if len(reply.bundle.outputs) == 1 else several)["outputs"]


def write_classes(bundle: Bundle, question: TensorFlowServingQuestion, answers: Array) -> bytes:
    """Write probabilities, float64 (n_rows, n_labels), each with its label."""
    classes = [list(zip(bundle.labels or (), row, strict=True)) for row in answers.tolist()]
    return orjson.dumps({question.key: classes})


def signature_of(release: Release) -> dict[str, Any]:
    """Return the metadata of TensorFlow Serving, whose two nested `signature_def` are a map and a message of it."""
    bundle = release.bundle
    signature = {
        "inputs": {name: _tensor(name, _input_dtype(bundle, kind)) for name, kind in bundle.kinds.items()},
        "outputs": {name: _tensor(name, _output_dtype(bundle)) for name in bundle.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": bundle.pattern, "signature_name": "", "version": str(release.version)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor(name: str, dtype: str) -> dict[str, Any]:
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    return {"dtype": dtype, "tensor_shape": shape, "name": name}


def _output_dtype(bundle: Bundle) -> str:
    decoder = bundle.predictor.decoder
    if isinstance(decoder, LabelDecoder):
        return LABEL_DTYPES[decoder.values.dtype.kind]
    return _input_dtype(bundle, "number")


def _input_dtype(bundle: Bundle, kind: Kind) -> str:
    """Return the dtype of an input of this kind; of a number, the dtype that the network computes in."""
    return "DT_DOUBLE" if kind == "number" and bundle.architecture.dtype == "float64" else DTYPES[kind]
