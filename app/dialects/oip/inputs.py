"""The inputs of the Open Inference Protocol v2: tensors in JSON, or in the bytes after it, as rows for a bundle.

A tensor is a column, [n] or [n, 1], under its name; or all columns in order, [n, k], under any name.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from app.dialects.oip import tensors
from app.dialects.oip.tensors import Values
from app.errors import TooManyRows, Unprocessable
from app.formats.expected import Expected, ExpectedColumn, read_column, read_numbers, row_of
from app.formats.found import kind_of
from app.formats.json_rows import check_finite
from models_store.arrays import Array
from models_store.tables.table import Raw, Table, from_json
from models_store.tables.table import Values as Cells

RESERVED = "triton_"
Object = dict[str, Any]


def tensors_in(document: Object, binary: memoryview, max_rows: int) -> dict[str, Values]:
    """Return tensors by name; binary data stand one after another, in the order of the inputs.

    Raises TooManyRows, or Unprocessable, which gives the place of the input: its name is part of the request.
    """
    found: dict[str, Values] = {}
    inputs = objects_in(document.get("inputs"), "inputs")
    for place, given in enumerate(inputs, 1):
        try:
            name = name_of(given)
            if name in found:
                raise Unprocessable("duplicate_column", "its name is that of an input before it")
            content = _content(given, binary)
            values = _tensor(given, content, max_rows)
            is_encoded = is_base64(given.get("datatype"), parameters_of(given))
            found[name] = tensors.from_base64(values) if is_encoded else values
        except Unprocessable as error:
            raise Unprocessable(error.fault, f"input {place} of {len(inputs)}: {error}") from None
        binary = binary[0 if content is None else len(content) :]
    if len(binary):
        raise Unprocessable("bad_shape", f"after the last binary_data_size, {len(binary)} bytes of the body are left")
    if not found:
        raise Unprocessable("bad_body", "inputs must hold a tensor, found none")
    return found


def _content(given: Object, binary: memoryview) -> memoryview | None:
    """Return the bytes of the tensor, from the beginning of `binary`, or None for a tensor in JSON."""
    size = parameters_of(given).get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or not 0 <= size <= len(binary):
        found = "another number" if type(size) is int else kind_of(size)
        words = f"binary_data_size must be a number of bytes, of which the body has {len(binary)} left"
        raise Unprocessable("bad_shape", f"{words}, found {found}")
    if "data" in given:
        raise Unprocessable("bad_body", "it has data and binary_data_size; one of them holds its tensor")
    return binary[:size]


def _tensor(given: Object, content: memoryview | None, max_rows: int) -> Values:
    datatype: Any = given.get("datatype")
    shape: Any = given.get("shape")
    if datatype not in tensors.DATATYPES:
        raise Unprocessable("bad_type", f"the datatype must be one of {', '.join(tensors.DATATYPES)}")
    check_shape(shape)
    if content is not None:
        return tensor_of_bytes(datatype, shape, content, max_rows)
    if "data" not in given:
        raise Unprocessable("bad_body", "it has neither data nor binary_data_size")
    check_rows(shape, max_rows, is_there=isinstance(given["data"], list) and len(given["data"]) >= shape[0])
    return tensors.from_json(datatype, shape, given["data"])


def check_shape(shape: Any) -> None:
    """Raise Unprocessable unless the shape is [rows] or [rows, columns]."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise Unprocessable("bad_shape", "the shape must be a list of integers, none of them negative")
    if len(shape) not in (1, 2):
        words = "the shape must be [rows], [rows, 1] or [rows, columns]"
        raise Unprocessable("bad_shape", f"{words}, found a list of {len(shape)}")


def tensor_of_bytes(datatype: str, shape: Sequence[int], content: memoryview, max_rows: int) -> Values:
    """Return the tensor whose elements these bytes are. Raises TooManyRows or Unprocessable."""
    check_rows(shape, max_rows, is_there=tensors.least_bytes(datatype, prod(shape)) <= len(content))
    return tensors.from_bytes(datatype, shape, content)


def is_base64(datatype: Any, parameters: Object) -> bool:
    """True for the content type that MLServer's codec gives to BYTES in base64; other content types change nothing."""
    return datatype == "BYTES" and parameters.get("content_type") == "base64"


def check_rows(shape: Sequence[int], max_rows: int, *, is_there: bool) -> None:
    """Raise TooManyRows only for rows that are there: a shape that states more than the data hold is a bad shape."""
    if 0 in shape:
        raise Unprocessable("no_rows", "there are no rows to predict")
    if not is_there:
        raise Unprocessable("bad_shape", "the shape states more elements than the data hold")
    if shape[0] > max_rows:
        raise TooManyRows(max_rows)


# -- rows ----------------------------------------------------------------------------------------------------------


def rows_of(given: Mapping[str, Values], expected: Expected) -> Raw:
    """Return the tensors as a table, or as float64 (n_rows, n_columns) where all columns are numbers.

    Raises Unprocessable, which names row and column.
    """
    packed = _packed(given, expected)
    if packed is None:
        columns = _by_name(given, expected)
        return _table(columns, expected) if expected.typed else _numbers(columns, expected)
    if not expected.typed:
        return _packed_numbers(packed, expected)
    return _table(dict(zip(expected.names, packed.T, strict=True)), expected)


def _packed(given: Mapping[str, Values], expected: Expected) -> Values | None:
    """Return a single tensor of all columns, (n_rows, n_columns); None if there are others, or it is one column."""
    (name, values), *others = given.items()
    width = 1 if values.ndim == 1 else values.shape[1]
    if not others and width == len(expected.names):
        return values.reshape(len(values), width)
    if others or width == 1 or name in expected.names:
        return None
    words = f"a tensor of all columns must have the shape [rows, {len(expected.names)}], found {width} columns"
    raise Unprocessable("bad_shape", f"{words}; they are {expected.listed}")


def _by_name(given: Mapping[str, Values], expected: Expected) -> dict[str, Values]:
    expected.check_known(given)
    expected.absent(given)
    given = {name: given[name] for name in expected.names if name in given}
    for name, values in given.items():
        if values.ndim == 2 and values.shape[1] != 1:
            words = f"column {name}: a tensor of one column must have the shape [rows] or [rows, 1]"
            raise Unprocessable("bad_shape", f"{words}, found {values.shape[1]} columns")
    lengths = sorted({len(values) for values in given.values()})
    if len(lengths) != 1:
        words = f"the inputs must have the same number of rows, found {lengths[0]} to {lengths[-1]}"
        raise Unprocessable("bad_shape", words)
    return {name: values.reshape(-1) for name, values in given.items()}


def _packed_numbers(packed: Values, expected: Expected) -> Array:
    rows = _as_numbers(packed, expected.listed)
    check_finite(rows, expected)
    return rows


def _numbers(columns: Mapping[str, Values], expected: Expected) -> Array:
    rows = np.stack([_as_numbers(columns[name], name) for name in expected.names], axis=1)
    check_finite(rows, expected)
    return rows


def _as_numbers(values: Values, name: str) -> Array:
    if values.dtype.kind == "O":
        raise Unprocessable("not_a_number", f"column {name}: expected numbers, found BYTES or null")
    with np.errstate(invalid="ignore"):  # a signalling NaN; it is refused with the others
        return values.astype(np.float64, copy=False)


def _table(columns: Mapping[str, Values], expected: Expected) -> Table:
    nothing = np.full(len(next(iter(columns.values()))), None)
    return Table({column.name: _cells(column, columns.get(column.name, nothing)) for column in expected.typed})


def _cells(column: ExpectedColumn, values: Values) -> Cells:
    """Return the cells as the native API would read them from JSON, (n_rows,)."""
    if column.kind == "number" and values.dtype.kind != "O":
        values = _as_numbers(values, column.name)
        numbers = read_numbers(column, values)
        if numbers is not None:
            return numbers
    if column.kind == "category" and values.dtype.kind == "f" and values.dtype.itemsize < 8:
        # A float32 that was written as 0.1 is the category 0.1, not 0.10000000149.
        return read_column(column, [float(str(value)) for value in values], from_json, row_of)
    return read_column(column, values.tolist(), from_json, row_of)


# -- parts of the JSON ---------------------------------------------------------------------------------------------


def object_in(part: Any, what: str) -> Object:
    if not isinstance(part, dict):
        raise Unprocessable("bad_body", f"{what} must be an object, found {kind_of(part)}")
    return part


def objects_in(part: Any, what: str) -> list[Object]:
    if not isinstance(part, list):
        raise Unprocessable("bad_body", f"{what} must be a list of objects, found {kind_of(part)}")
    return [object_in(item, f"each of {what}") for item in part]


def parameters_of(part: Object) -> Object:
    """Return the parameters, empty where there are none. Unknown names are for other servers, and are ignored.

    Raises Unprocessable for names that Triton reserves, and for shared memory.
    """
    parameters = part.get("parameters")
    if parameters is None:
        return {}
    for name in object_in(parameters, "parameters"):
        if name.startswith(RESERVED):
            raise Unprocessable("bad_parameter", f"parameters that begin with {RESERVED} are reserved")
        if name.startswith("shared_memory_"):
            raise Unprocessable("bad_parameter", "shared memory is not supported; send the data in the request")
    return object_in(parameters, "parameters")


def flag_in(parameters: Object, name: str, default: bool = False) -> bool:
    flag = parameters.get(name, default)
    if not isinstance(flag, bool):
        raise Unprocessable("bad_parameter", f"{name} must be true or false, found {kind_of(flag)}")
    return flag


def name_of(part: Object) -> str:
    name = part.get("name")
    if not isinstance(name, str):
        found = kind_of(name) if "name" in part else "none"
        raise Unprocessable("bad_body", f"inputs and outputs must have a name, which is a string, found {found}")
    return name
