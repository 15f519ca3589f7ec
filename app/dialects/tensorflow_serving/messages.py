"""TensorFlow's tensors and examples as rows, and answers as tensors, classes and regressions.

PredictRequest, or Input  ->  rows  ->  answers  ->  PredictResponse, ClassificationResult or RegressionResult
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from app.dialects.asked import AskedRows
from app.dialects.oip import tensors
from app.dialects.oip.bodies import Wanted, answered, wanted_of
from app.dialects.oip.inputs import check_shape, rows_of, tensor_of_bytes
from app.dialects.oip.tensors import Values
from app.dialects.tensorflow_serving import bodies as tfs
from app.dialects.tensorflow_serving.bodies import TensorFlowServingQuestion
from app.errors import TooManyRows, Unprocessable
from app.formats.expected import Expected
from app.protos import tensorflow_pb2 as tf
from app.protos import tensorflow_serving_pb2 as pb
from models_store.arrays import Array
from models_store.bundle import Bundle, all_finite
from models_store.storage.store import Release
from models_store.tables.table import Kind

# The datatypes of tensors that are read, and the field that holds their elements where tensor_content does not.
DATATYPES = {
    tf.DT_FLOAT: ("FP32", "float_val"),
    tf.DT_DOUBLE: ("FP64", "double_val"),
    tf.DT_INT8: ("INT8", "int_val"),
    tf.DT_INT16: ("INT16", "int_val"),
    tf.DT_INT32: ("INT32", "int_val"),
    tf.DT_INT64: ("INT64", "int64_val"),
    tf.DT_UINT8: ("UINT8", "int_val"),
    tf.DT_UINT16: ("UINT16", "int_val"),
    tf.DT_UINT32: ("UINT32", "uint32_val"),
    tf.DT_UINT64: ("UINT64", "uint64_val"),
    tf.DT_BOOL: ("BOOL", "bool_val"),
    tf.DT_HALF: ("FP16", "half_val"),
    tf.DT_BFLOAT16: ("BF16", "half_val"),
    tf.DT_STRING: ("BYTES", "string_val"),
}
DTYPES: Mapping[str, np.dtype[Any]] = {
    "float_val": np.dtype("f4"),
    "double_val": np.dtype("f8"),
    "int_val": np.dtype("i4"),
    "int64_val": np.dtype("i8"),
    "uint32_val": np.dtype("u4"),
    "uint64_val": np.dtype("u8"),
    "bool_val": np.dtype("?"),
    "half_val": np.dtype("i4"),
}
BY_DATATYPE = {datatype: (dtype, field) for dtype, (datatype, field) in DATATYPES.items()}


@dataclass(frozen=True, eq=False)
class TensorsQuestion(AskedRows):
    """Raw rows in the card's column order, and the outputs that are wanted for them."""

    wanted: Sequence[Wanted]
    is_light: bool = False


# -- tensors -------------------------------------------------------------------------------------------------------


def read_tensors(request: pb.PredictRequest, expected: Expected, bundle: Bundle, max_rows: int) -> TensorsQuestion:
    """Return what is asked. Raises TooManyRows or Unprocessable."""
    tfs.check_signature(request.model_spec.signature_name)
    if not request.inputs:
        raise Unprocessable("bad_body", "inputs must hold a tensor, found none")
    most = max_rows * len(expected.names)
    given = {
        name: _tensor(place, tensor, max_rows, most) for place, (name, tensor) in enumerate(request.inputs.items())
    }
    wanted = wanted_of([{"name": name} for name in request.output_filter], True, bundle.outputs)
    return TensorsQuestion(rows_of(given, expected), wanted)


def write_tensors(release: Release, question: TensorsQuestion, answers: Array) -> bytes:
    """Return the answer, `answers` float64 (n_rows, n_outputs). Raises NotFinite if one is too large for its type."""
    response = pb.PredictResponse(model_spec=spec_of(release))
    for wanted, values in answered(release.bundle, question.wanted, answers):
        dtype, field = BY_DATATYPE[tensors.datatype_of(values)]
        tensor = response.outputs[wanted.name]
        tensor.dtype = dtype
        tensor.tensor_shape.dim.add(size=len(values))
        elements = values.ravel().tolist()
        getattr(tensor, field).extend([text.encode() for text in elements] if field == "string_val" else elements)
    return response.SerializeToString()


def spec_of(release: Release) -> pb.ModelSpec:
    spec = pb.ModelSpec(name=release.bundle.pattern, signature_name=tfs.SIGNATURE)
    spec.version.value = release.version
    return spec


def _tensor(place: int, tensor: tf.TensorProto, max_rows: int, most: int) -> Values:
    try:
        return _values(tensor, max_rows, most)
    except Unprocessable as error:
        raise Unprocessable(error.fault, f"input {place + 1}: {error}") from None


def _values(tensor: tf.TensorProto, max_rows: int, most: int) -> Values:
    if tensor.dtype not in DATATYPES:
        words = ", ".join(tf.DataType.Name(dtype) for dtype in DATATYPES)
        raise Unprocessable("bad_type", f"the dtype must be one of {words}")
    datatype, field = DATATYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    check_shape(shape)
    if 0 in shape:
        raise Unprocessable("no_rows", "there are no rows to predict")
    if tensor.tensor_content and datatype != "BYTES":
        return tensor_of_bytes(datatype, shape, memoryview(tensor.tensor_content), max_rows)
    elements = getattr(tensor, field)
    if not elements:
        raise Unprocessable(
            "bad_body", f"it has no {field}" + ("" if datatype == "BYTES" else " and no tensor_content")
        )
    if shape[0] > max_rows:
        raise TooManyRows(max_rows)
    if prod(shape) > most:
        raise Unprocessable("bad_shape", "the shape states more columns than the pattern has")
    if datatype == "BYTES":
        return tensors.from_texts(shape, _repeated(list(elements), prod(shape)))
    numbers = np.array(elements, dtype=DTYPES[field])
    if field == "half_val":
        return tensors.from_bytes(datatype, shape, _halves(_repeated(numbers, prod(shape))))
    return tensors.from_numbers(datatype, shape, _repeated(numbers, prod(shape)))


def _repeated(elements: Any, count: int) -> Any:
    """Return the elements, of which the last stands for all that are left out, as TensorFlow has it."""
    missing = count - len(elements)
    if missing <= 0:
        return elements
    if isinstance(elements, list):
        return elements + [elements[-1]] * missing
    return np.concatenate([elements, np.full(missing, elements[-1])])


def _halves(bits: Values) -> memoryview:
    """Return the bytes of 16 bits each that integers hold."""
    return memoryview(bits.astype("<u2").tobytes())


# -- examples ------------------------------------------------------------------------------------------------------


def read_examples(given: pb.Input, expected: Expected, max_rows: int) -> TensorFlowServingQuestion:
    """Return the question of examples. Raises TooManyRows or Unprocessable."""
    listed = given.example_list_with_context if given.HasField("example_list_with_context") else given.example_list
    examples = listed.examples
    if len(examples) > max_rows:
        raise TooManyRows(max_rows)
    kinds = {column.name: column.kind for column in expected.typed}
    context = _record("the context", listed.context, kinds) if isinstance(listed, pb.ExampleListWithContext) else {}
    records = [_record(f"example {place}", example, kinds) for place, example in enumerate(examples)]
    return tfs.question_of(records, context, expected, max_rows)


def _record(where: str, example: tf.Example, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    try:
        return {name: _cell(feature, kinds.get(name)) for name, feature in example.features.feature.items()}
    except UnicodeDecodeError:
        raise Unprocessable("bad_value", f"{where}: a feature is not a text in UTF-8") from None
    except ValueError as error:
        raise Unprocessable("bad_shape", f"{where}: {error}") from None


def _cell(feature: tf.Feature, kind: Kind | None) -> Any:
    """Return the value of a feature as JSON has it, None where it has none. Raises ValueError where it has several."""
    chosen = feature.WhichOneof("kind")
    values = getattr(feature, chosen).value if chosen is not None else []
    if len(values) > 1:
        raise ValueError(f"a feature must have one value, found {len(values)}")
    if not values:
        return None
    (value,) = values
    if chosen == "bytes_list":
        return value.decode()
    if chosen == "float_list" and kind == "category":
        return float(str(np.float32(value)))  # 0.1 is the category 0.1, not 0.10000000149
    # An example has no booleans of its own.
    return bool(value) if kind == "boolean" and value in (0, 1) else value


def write_classes(release: Release, _question: TensorFlowServingQuestion, answers: Array) -> bytes:
    """Return each label with its probability, for every row; `answers` float64 (n_rows, n_labels)."""
    response = pb.ClassificationResponse(model_spec=spec_of(release))
    labels = release.bundle.labels or ()
    for row in answers.tolist():
        classes = response.result.classifications.add().classes
        for label, score in zip(labels, row, strict=True):
            classes.add(label=label, score=score)
    return response.SerializeToString()


def write_regressions(release: Release, _question: TensorFlowServingQuestion, answers: Array) -> bytes:
    """Return a number for every row; `answers` float64 (n_rows, 1).

    Raises NotFinite if one is too large for float32.
    """
    response = pb.RegressionResponse(model_spec=spec_of(release))
    with np.errstate(over="ignore"):
        numbers = all_finite(answers.astype(np.float32))
    for value in numbers[:, 0].tolist():
        response.result.regressions.add(value=value)
    return response.SerializeToString()
