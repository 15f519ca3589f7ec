"""Requests and answers of the Open Inference Protocol v2 as protobuf messages: tensors by type, or as raw bytes.

ModelInferRequest  ->  OipQuestion (rows, outputs wanted)  ->  ModelInferResponse, always with raw contents
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from app.answering.plan import cost_of_array
from app.dialects.levels import Levels
from app.dialects.oip import tensors
from app.dialects.oip.bodies import OipQuestion, answered, beside, wanted_of
from app.dialects.oip.inputs import (
    check_rows,
    check_shape,
    is_base64,
    parameters_of,
    rows_of,
    tensor_of_bytes,
)
from app.dialects.oip.tensors import Values
from app.dialects.remarks import Remarks
from app.errors import Unprocessable
from app.formats.expected import Expected
from app.protos.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from models_store.arrays import Array
from models_store.storage.store import Release

# The field of typed contents that holds each datatype. FP16 and BF16 have none.
FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
DTYPES: Mapping[str, np.dtype[Any]] = {
    "bool_contents": np.dtype("?"),
    "int_contents": np.dtype("i4"),
    "int64_contents": np.dtype("i8"),
    "uint_contents": np.dtype("u4"),
    "uint64_contents": np.dtype("u8"),
    "fp32_contents": np.dtype("f4"),
    "fp64_contents": np.dtype("f8"),
}
InferInputTensor = ModelInferRequest.InferInputTensor


def cost(request: ModelInferRequest, n_bytes: int, expected: Expected) -> int:
    """Return how much work the request is to read, in bytes of JSON: numbers are cheap, texts are not."""
    has_texts = expected.typed or any(given.datatype == "BYTES" for given in request.inputs)
    return n_bytes if has_texts else cost_of_array(n_bytes)


def read(request: ModelInferRequest, expected: Expected, outputs: Sequence[str], max_rows: int) -> OipQuestion:
    """Return what is asked. Raises TooManyRows or Unprocessable."""
    levels = Levels.among(_check(request.parameters))
    outputs = [*outputs, *levels.names(outputs)]
    asked = [{"name": one.name, "parameters": _plain(one.parameters)} for one in request.outputs]
    wanted = wanted_of(asked, True, outputs)
    rows = rows_of(_tensors_in(request, max_rows), expected)
    return OipQuestion(rows, request.id or None, wanted, is_compressed=False, levels=levels)


def write(release: Release, question: OipQuestion, answers: Array, remarks: Remarks) -> bytes:
    """Return the answer, `answers` float64 (n_rows, n_outputs), with remarks as parameters.

    Raises NotFinite if an answer is too large for its datatype.
    """
    response = ModelInferResponse(model_name=release.bundle.pattern, model_version=str(release.version))
    if question.id is not None:
        response.id = question.id
    others = beside(release.bundle, question, answers)
    for name, rows in remarks.items():
        response.parameters[name].string_param = orjson.dumps(rows).decode()
    for wanted, values in answered(release.bundle, question.wanted, answers, others):
        response.outputs.add(name=wanted.name, datatype=tensors.datatype_of(values), shape=values.shape)
        response.raw_output_contents.append(bytes(tensors.to_bytes(values)))
    return response.SerializeToString()


# -- inputs --------------------------------------------------------------------------------------------------------


def _tensors_in(request: ModelInferRequest, max_rows: int) -> dict[str, Values]:
    """Return tensors by name. Raises TooManyRows, or Unprocessable, which gives the place of the input."""
    inputs, raw = request.inputs, request.raw_input_contents
    if not inputs:
        raise Unprocessable("bad_body", "inputs must hold a tensor, found none")
    if raw and len(raw) != len(inputs):
        words = "raw_input_contents must hold the bytes of every input or of none"
        raise Unprocessable("bad_body", f"{words}, found {len(raw)} for {len(inputs)} inputs")
    found: dict[str, Values] = {}
    for place, given in enumerate(inputs):
        try:
            if given.name in found:
                raise Unprocessable("duplicate_column", "its name is that of an input before it")
            found[given.name] = _tensor(given, memoryview(raw[place]) if raw else None, max_rows)
        except Unprocessable as error:
            raise Unprocessable(error.fault, f"input {place + 1} of {len(inputs)}: {error}") from None
    return found


def _tensor(given: InferInputTensor, raw: memoryview | None, max_rows: int) -> Values:
    parameters = _check(given.parameters)
    datatype, shape = given.datatype, list(given.shape)
    if datatype not in tensors.DATATYPES:
        raise Unprocessable("bad_type", f"the datatype must be one of {', '.join(tensors.DATATYPES)}")
    check_shape(shape)
    if raw is None:
        values = _typed(given, shape, max_rows)
    elif given.contents.ByteSize():
        raise Unprocessable("bad_body", "it has contents and raw_input_contents; one of them holds its tensor")
    else:
        values = tensor_of_bytes(datatype, shape, raw, max_rows)
    return tensors.from_base64(values) if is_base64(datatype, parameters) else values


def _typed(given: InferInputTensor, shape: Sequence[int], max_rows: int) -> Values:
    field = FIELDS.get(given.datatype)
    if field is None:
        words = f"{given.datatype} has no field in contents; send it in raw_input_contents, or as FP32"
        raise Unprocessable("bad_type", words)
    elements = getattr(given.contents, field)
    if not elements and given.contents.ByteSize():
        raise Unprocessable("bad_body", f"its contents are in another field than {field}")
    check_rows(shape, max_rows, is_there=len(elements) >= shape[0])
    if given.datatype == "BYTES":
        return tensors.from_texts(shape, elements)
    return tensors.from_numbers(given.datatype, shape, np.array(elements, dtype=DTYPES[field]))


# -- parameters ----------------------------------------------------------------------------------------------------


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON has them; None for one without a value."""
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: None if choice is None else getattr(parameters[name], choice) for name, choice in chosen.items()}


def _check(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON has them. Raises Unprocessable for those of what cannot be done here."""
    return parameters_of({"parameters": _plain(parameters)}) if parameters else {}
