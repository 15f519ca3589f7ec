"""TensorFlow Serving's REST protocol, version 1: rows or columns in, predictions or outputs out.

bytes -> Question (rows, layout) -> answers -> bytes
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from app.envelopes import Envelope
from app.errors import Malformed, Unprocessable
from app.formats import json_rows, strict_json
from app.formats.expected import Expected
from app.formats.reply import Layout, Reply
from app.statuses import STATUS
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.encoding.outputs import LabelDecoder
from models_store.errors import UnknownAlias, UnknownPattern, UnknownVersion
from models_store.storage.store import Release
from models_store.tables.table import Kind, Raw

SIGNATURE = "serving_default"
NOT_FOUND = {kind.code for kind in (UnknownPattern, UnknownVersion, UnknownAlias)}
DTYPES: dict[Kind, str] = {
    "number": "DT_FLOAT",
    "boolean": "DT_BOOL",
    "category": "DT_STRING",
    "date": "DT_STRING",
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
class Question:
    """Raw rows, and how their answers are laid out and called."""

    rows: Raw
    layout: Layout = "flat"
    answer: Literal["predictions", "outputs", "results"] = "results"
    is_light: bool = False


# -- questions -----------------------------------------------------------------------------------------------------


def read_tensors(body: bytes, expected: Expected, max_rows: int) -> Question:
    document = _object(body, expected, max_rows)
    match "instances" in document, "inputs" in document:
        case True, False:
            if not isinstance(document["instances"], list):
                raise Unprocessable("bad_layout", "'instances' must be a list")
            layout, rows = json_rows.rows_of(document["instances"], expected, max_rows)
            return Question(json_rows.raw_of(json_rows.scalars(rows), expected), layout, "predictions")
        case False, True:
            layout, rows = json_rows.rows_of(document["inputs"], expected, max_rows)
            return Question(json_rows.raw_of(json_rows.scalars(rows), expected), layout, "outputs")
        case False, False:
            raise Unprocessable("bad_body", "Missing 'inputs' or 'instances' key")
    raise Unprocessable("bad_body", "expecting only one of 'inputs' or 'instances' keys to exist")


def read_examples(body: bytes, expected: Expected, max_rows: int) -> Question:
    document = _object(body, expected, max_rows)
    examples, context = document.get("examples"), document.get("context", {})
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise Unprocessable("bad_body", "'examples' must be a list of objects")
    if not isinstance(context, dict):
        raise Unprocessable("bad_body", "'context' must be an object")
    if any(not context.keys().isdisjoint(example) for example in examples):
        raise Unprocessable("duplicate_column", "what stands in 'context' must not stand in 'examples' as well")
    _, rows = json_rows.rows_of([context | example for example in examples], expected, max_rows)
    return Question(json_rows.raw_of(json_rows.scalars(rows), expected))


def _object(body: bytes, expected: Expected, max_rows: int) -> dict[str, Any]:
    decoder = strict_json.WITH_NAN if "b64" in expected.names else strict_json.WITH_NAN_AND_BYTES
    # Each cell may be a list of its own.
    document = json_rows.loads(body, expected, max_rows, decoder, brackets_a_row=len(expected.names) + 1)
    if not isinstance(document, dict):
        raise Unprocessable("bad_body", "the body must be a JSON object")
    if document.get("signature_name", SIGNATURE) not in (SIGNATURE, ""):
        raise Unprocessable("bad_parameter", f"Serving signature name not found in signature def; it has {SIGNATURE}")
    return document


# -- answers -------------------------------------------------------------------------------------------------------


def write_tensors(bundle: Bundle, question: Question, answers: Array) -> bytes:
    return orjson.dumps({question.answer: _laid_out(Reply.of(bundle, answers), question)})


def _laid_out(reply: Reply, question: Question) -> Any:
    """The name of a single output is left out."""
    if question.layout == "record":
        outputs = reply.in_layout("record")["outputs"]
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs
    several: Layout = "records" if question.answer == "predictions" else "columns"
    return reply.in_layout("flat" if len(reply.outputs) == 1 else several)["outputs"]


def write_classes(bundle: Bundle, question: Question, answers: Array) -> bytes:
    classes = [list(zip(bundle.labels or (), row, strict=True)) for row in answers.tolist()]
    return orjson.dumps({question.answer: classes})


def signature_of(release: Release) -> dict[str, Any]:
    """The double signature_def is the original's: a map of metadata that holds a message that holds a map."""
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
    """Of a number, what the network computes with."""
    return "DT_DOUBLE" if kind == "number" and bundle.architecture.dtype == "float64" else DTYPES[kind]
