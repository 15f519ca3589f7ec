"""Operations of the Open Inference Protocol v2 in the OpenAPI document."""

from dataclasses import dataclass, field
from typing import Any

from app.dialects.oip import tensors
from app.formats.media_types import JSON
from app.http.dispatch import PARAMETER
from app.openapi import BYTES, CELL, path_parameter

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
SHAPE: Schema = {"type": "array", "items": NUMBER}


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "required": [*(required or properties)], "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


TENSOR = _object({"name": TEXT, "datatype": TEXT, "shape": SHAPE})


def _parameters(**known: Schema) -> Schema:
    """Return the schema of parameters. Others are ignored, unless their names are those of what cannot be done here."""
    refused = {"pattern": "^(triton_|shared_memory_)"}
    return {"type": ["object", "null"], "properties": known, "propertyNames": {"not": refused}}


def _or_none(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


# Datatypes that have no form in JSON.
BINARY_ONLY = ("FP16", "BF16")


def _given(element: str, *datatypes: str) -> Schema:
    """Return the schema of an input whose elements are of this type in JSON, or null."""
    elements = {"type": "array", "minItems": 1, "items": {"type": [element, "null"]}}
    nested = {"type": "array", "minItems": 1, "items": elements}
    return _object(
        {
            "name": TEXT,
            "datatype": {"type": "string", "enum": list(datatypes)},
            "shape": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer", "minimum": 1}},
            "data": {"anyOf": [elements, nested], "description": "flat, or nested as the shape is"},
            "parameters": _parameters(
                binary_data_size={"type": "null", "description": "bytes of the tensor, in a body with binary data"}
            ),
        },
        "name",
        "datatype",
        "shape",
        "data",
    )


NUMBERS = [name for name in tensors.DATATYPES if name not in (*tensors.IN_JSON, *BINARY_ONLY)]
GIVEN: Schema = {
    "oneOf": [_given("number", *NUMBERS), _given("boolean", "BOOL"), _given("string", "BYTES")],
}
WANTED = _object(
    {
        "name": TEXT,
        "parameters": _parameters(
            binary_data={**FLAG, "description": "after the JSON"},
            classification={"type": "integer", "minimum": 1, "description": "the best k classes"},
        ),
    },
    "name",
)
REQUEST = _object(
    {
        "id": {"type": ["string", "null"]},
        "inputs": {**_list(GIVEN), "minItems": 1},
        "outputs": {**_or_none(_list(WANTED)), "description": "without it, all"},
        "parameters": _parameters(binary_data_output={**FLAG, "description": "all outputs after the JSON"}),
    },
    "inputs",
)
ANSWERED = _object(
    {
        "name": TEXT,
        "datatype": TEXT,
        "shape": SHAPE,
        "data": {"type": "array", "description": "flat, in row order", "items": CELL},
        "parameters": _object({"binary_data_size": NUMBER}),
    },
    "name",
    "datatype",
    "shape",
)
ANSWER = _object(
    {"model_name": TEXT, "model_version": TEXT, "id": TEXT, "outputs": _list(ANSWERED)},
    "model_name",
    "model_version",
    "outputs",
)
COUNTED = _object(
    {
        "name": TEXT,
        "version": TEXT,
        "last_inference": {**NUMBER, "description": "milliseconds since 1970"},
        "inference_count": {**NUMBER, "description": "rows"},
        "execution_count": {**NUMBER, "description": "calls of the network; requests of a moment share one"},
        "inference_stats": {"type": "object", "additionalProperties": _object({"count": NUMBER, "ns": NUMBER})},
        "batch_stats": _list({"type": "object"}),
    }
)
COUNTS = _object({"model_stats": _list(COUNTED)})
INDEXED = _object(
    {"name": TEXT, "version": TEXT, "state": {"type": "string", "enum": ["READY", "UNAVAILABLE"]}, "reason": TEXT}
)


@dataclass(frozen=True)
class Operation:
    """The description of one address, or of several that do the same."""

    id: str
    summary: str
    schema: Schema
    description: str = ""
    body: Schema = field(default_factory=dict)
    also: Schema = field(default_factory=dict)
    """Other content types of the answer."""

    def at(self, path: str, suffix: str = "") -> dict[str, Any]:
        names = PARAMETER.findall(path)
        return {
            "tags": ["open inference protocol"],
            "operationId": self.id + suffix,
            "summary": self.summary + (" of a version" if suffix else ""),
            **({"description": self.description} if self.description else {}),
            **({"parameters": [path_parameter(name) for name in names]} if names else {}),
            **({"requestBody": self.body} if self.body else {}),
            "responses": {
                "200": {"description": self.summary, "content": {JSON: {"schema": self.schema}, **self.also}}
            },
        }


def _body(schema: Schema, *, required: bool, **others: Schema) -> Schema:
    return {"required": required, "content": {JSON: {"schema": schema, **others}}}


INFER = Operation(
    "v2Infer",
    "Infer",
    ANSWER,
    "A tensor a column, [n] or [n, 1]; or one of all columns in the order of the metadata, [n, k], under any name. "
    "Bodies are read as bytes, whatever content type they say. Binary data stand after the JSON, whose length "
    "Inference-Header-Content-Length says; Content-Encoding gzip and deflate are taken, Accept-Encoding is heard.",
    {"required": True, "content": {JSON: {"schema": REQUEST}, "application/octet-stream": BYTES}},
    {"application/octet-stream": BYTES},
)
SERVER = Operation(
    "v2Server", "The server and its extensions", _object({"name": TEXT, "version": TEXT, "extensions": _list(TEXT)})
)
LIVE = Operation("v2Live", "Alive: the process answers", _object({"live": FLAG}))
READY = Operation(
    "v2Ready", "Ready: every pattern that can be served is loaded", _object({"ready": FLAG, "live": FLAG})
)
MODELS = Operation("v2Models", "The patterns that answer", _object({"models": _list(TEXT)}))
METADATA = Operation(
    "v2Metadata",
    "Names, datatypes and shapes of the tensors",
    _object(
        {"name": TEXT, "versions": _list(TEXT), "platform": TEXT, "inputs": _list(TENSOR), "outputs": _list(TENSOR)}
    ),
)
MODEL_READY = Operation("v2ModelReady", "Ready: it answers", _object({"name": TEXT, "ready": FLAG}))
CONFIG = Operation("v2Config", "The configuration, as Triton has it", {"type": "object"})
STATISTICS = Operation("v2Statistics", "Rows, calls and nanoseconds, of this process", COUNTS)
ALL_STATISTICS = Operation("v2AllStatistics", "Rows, calls and nanoseconds of every version, of this process", COUNTS)
INDEX = Operation(
    "v2Index",
    "Every version, and whether it is served",
    _list(INDEXED),
    body=_body(_object({"ready": FLAG}) | {"required": []}, required=False, example={"ready": True}),
)
LOAD = Operation(
    "v2Load",
    "Load: serve what the store holds",
    _object({"name": TEXT, "load": FLAG}),
    body=_body(
        {"type": "object", "properties": {"parameters": {"type": ["object", "null"], "maxProperties": 0}}},
        required=False,
        example={},
    ),
)
UNLOAD = Operation(
    "v2Unload",
    "Unload: not served by any process, until it is loaded again",
    _object({"name": TEXT, "unload": FLAG}),
    body=_body({"type": "object"}, required=False, example={}),
)
