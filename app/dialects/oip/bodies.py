"""Requests and answers of the Open Inference Protocol v2, with its extensions for binary data and classification.

JSON with inputs [and bytes]  ->  OipQuestion (rows, outputs wanted)  ->  JSON with outputs [and bytes]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from app.answering.plan import MOST_LABELS_ANSWERED, cost_of_array
from app.dialects.asked import AskedRows
from app.dialects.levels import NO_LEVELS, Levels
from app.dialects.oip import tensors
from app.dialects.oip.inputs import flag_in, name_of, object_in, objects_in, parameters_of, rows_of, tensors_in
from app.dialects.oip.tensors import Values
from app.dialects.remarks import NOTHING, Remarks
from app.errors import AnswerTooLarge, Malformed, TooManyRows, Unprocessable
from app.formats import strict_json
from app.formats.expected import Expected
from app.formats.found import kind_of
from app.formats.json_numbers import FEWEST_BYTES, document_of, rows_in
from app.formats.json_rows import SLACK, is_too_much
from app.formats.reply import Reply, texts_of_lists
from models_store.arrays import Array
from models_store.bundle import Bundle, all_finite
from models_store.storage.store import Release

NO_OTHERS: Mapping[str, Values] = MappingProxyType({})
# Bytes of JSON up to which the strict reader is the faster one.
LARGEST_HEADER_TO_READ_STRICTLY = 1 << 13


@dataclass(frozen=True)
class Wanted:
    """An output as it is asked for, as bytes or JSON: its `n_classes` best classes, or its values where that is 0."""

    name: str
    is_binary: bool
    n_classes: int = 0


@dataclass(frozen=True, eq=False)
class OipQuestion(AskedRows):
    """Raw rows in the card's column order, and the outputs that are wanted for them."""

    id: str | None
    wanted: Sequence[Wanted]
    is_compressed: bool
    """True if the answer will be compressed."""
    levels: Levels = NO_LEVELS
    """Those among the parameters of the request."""

    @property
    def is_sure(self) -> bool:
        return self.levels.is_sure

    @property
    def is_light(self) -> bool:
        """True if the answer is written as bytes, without classes and without compression."""
        return not self.is_compressed and all(one.is_binary and not one.n_classes for one in self.wanted)


@dataclass(frozen=True, eq=False)
class Written:
    """The bytes of an answer; `header_size` of them are JSON, or None where all are."""

    content: bytes
    header_size: int | None


def cost(body: bytes, header_length: str, expected: Expected) -> int:
    """Return how much work the body is to read, in bytes of JSON: numbers in binary data are cheap, texts are not.

    The JSON names the datatype BYTES where there are texts, possibly in escapes.
    """
    try:
        header, binary = _parts(body, header_length)
    except Malformed:
        return len(body)
    if expected.typed or b"BYTES" in header or b"\\" in header:
        return len(body)
    return len(header) + cost_of_array(len(binary))


def read(
    body: bytes,
    header_length: str,
    expected: Expected,
    outputs: Sequence[str],
    max_rows: int,
    *,
    is_compressed: bool = False,
) -> OipQuestion:
    """Return what is asked. `header_length` is the length of the JSON in bytes as the header states it, or empty.

    Raises Malformed, TooManyRows, or Unprocessable.
    """
    if not header_length and not expected.typed and (read := _few_numbers(body, expected, max_rows)) is not None:
        rows, request_id = read
        return OipQuestion(rows, request_id, [Wanted(name, is_binary=False) for name in outputs], is_compressed)
    header, binary = _parts(body, header_length)
    document = object_in(_parsed(header, expected, max_rows), "the request")
    parameters = parameters_of(document)
    request_id = document.get("id")
    if request_id is not None and not (isinstance(request_id, str) and _is_text(request_id)):
        found = "half of a surrogate pair" if isinstance(request_id, str) else kind_of(request_id)
        raise Unprocessable("bad_body", f"id must be a string, found {found}")
    levels = Levels.among(parameters)
    outputs = [*outputs, *levels.names(outputs)]
    wanted = wanted_of(document.get("outputs"), flag_in(parameters, "binary_data_output"), outputs)
    raw = rows_of(tensors_in(document, binary, max_rows), expected)
    return OipQuestion(raw, request_id, wanted, is_compressed, levels)


def check_classes(question: OipQuestion, n_outputs: int) -> None:
    """Raise AnswerTooLarge where the classes that are wanted would be too many labels."""
    n_classes = min(max(wanted.n_classes for wanted in question.wanted), n_outputs)
    if len(question.rows) * n_classes > MOST_LABELS_ANSWERED:
        raise AnswerTooLarge(MOST_LABELS_ANSWERED)
    question.levels.check_size(len(question.rows), n_outputs)


def write(release: Release, question: OipQuestion, answers: Array, remarks: Remarks = NOTHING) -> Written:
    """Write `answers`, float64 (n_rows, n_outputs), with remarks as parameters, whose values can only be texts.

    Raises NotFinite if an answer is too large for its datatype.
    """
    outputs: list[dict[str, Any]] = []
    binary: list[bytes | memoryview] = []
    for wanted, values in answered(release.bundle, question.wanted, answers, beside(release.bundle, question, answers)):
        output = {"name": wanted.name, "datatype": tensors.datatype_of(values), "shape": list(values.shape)}
        if wanted.is_binary:
            binary.append(tensors.to_bytes(values))
            outputs.append({**output, "parameters": {"binary_data_size": len(binary[-1])}})
        else:
            outputs.append({**output, "data": tensors.to_json(values)})
    about: dict[str, Any] = {"model_name": release.bundle.pattern, "model_version": str(release.version)}
    if question.id is not None:
        about["id"] = question.id
    if remarks:
        about["parameters"] = {name: orjson.dumps(rows).decode() for name, rows in remarks.items()}
    header = orjson.dumps({**about, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Written(b"".join([header, *binary]), len(header)) if binary else Written(header, None)


# -- the JSON ------------------------------------------------------------------------------------------------------


def _parts(body: bytes, header_length: str) -> tuple[bytes, memoryview]:
    if not header_length:
        return body, memoryview(b"")
    if not (header_length.isascii() and header_length.isdigit()) or len(header_length) > len(str(len(body))):
        raise Malformed("Inference-Header-Content-Length must be the number of bytes of the JSON, within the body")
    length = int(header_length)
    if length > len(body):
        raise Malformed(f"Inference-Header-Content-Length is more than the {len(body)} bytes of the body")
    return body[:length], memoryview(body)[length:]


def _few_numbers(body: bytes, expected: Expected, max_rows: int) -> tuple[Array, str | None] | None:
    """Read the most usual small body, one tensor of all columns as numbers and no parameters; None for all others.

    Return float64 (n_rows, n_columns) and the id. This takes a third of the time of reading any body.
    """
    if len(body) >= FEWEST_BYTES:
        return None
    # Without an id, and with one: there is no place for any other key.
    match document_of(body, n_keys=5) or document_of(body, n_keys=6):
        case {"inputs": [{"name": str(), "datatype": "FP32" | "FP64", "shape": list(shape), "data": data}], **others}:
            request_id = others.pop("id", None)
            if others or not isinstance(request_id, str | None):
                return None
            n_columns = len(expected.names)
            if type(data) is list and data and type(data[0]) is not list and len(data) % n_columns == 0:
                data = [data[start : start + n_columns] for start in range(0, len(data), n_columns)]
            read = rows_in(data, n_columns, max_rows)
            if read is None or shape != [len(data), n_columns] or set(map(type, shape)) != {int}:
                return None
            return read[1], request_id
    return None


def _parsed(header: bytes, expected: Expected, max_rows: int) -> Any:
    if len(header) <= LARGEST_HEADER_TO_READ_STRICTLY:
        return strict_json.loads(header)
    # Brackets and commas are counted before the JSON is parsed, because the parser holds the GIL.
    most = (max_rows + SLACK) * (len(expected.names) + 1)
    if is_too_much(header, most, most):
        raise TooManyRows(max_rows)
    return strict_json.loads_large(header)


def _is_text(text: str) -> bool:
    """True if the text can be encoded in UTF-8; half of a surrogate pair, which JSON may hold, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def wanted_of(asked: Any, are_binary: bool, outputs: Sequence[str]) -> list[Wanted]:
    """Return the outputs that a request asks for, all of them where it names none. Raises Unprocessable."""
    if not asked and asked in (None, []):
        return [Wanted(name, are_binary) for name in outputs]
    wanted = [_one_wanted(output, are_binary) for output in objects_in(asked, "outputs")]
    names = [one.name for one in wanted]
    if not set(names) <= set(outputs):
        place = next(place for place, name in enumerate(names, 1) if name not in outputs)
        words = f"output {place} of {len(names)} is not one of {', '.join(outputs)}"
        raise Unprocessable("unknown_column", words)
    if len(set(names)) != len(names):
        twice = next(name for name in outputs if names.count(name) > 1)
        raise Unprocessable("duplicate_column", f"output {twice} is asked for twice")
    return wanted


def _one_wanted(output: dict[str, Any], are_binary: bool) -> Wanted:
    parameters = parameters_of(output)
    n_classes = parameters.get("classification", 0)
    if type(n_classes) is not int or ("classification" in parameters and n_classes < 1):
        found = "a number below 1" if type(n_classes) is int else kind_of(n_classes)
        words = f"classification must be the number of classes that are wanted, at least 1, found {found}"
        raise Unprocessable("bad_parameter", words)
    return Wanted(name_of(output), flag_in(parameters, "binary_data", are_binary), n_classes)


# -- outputs -------------------------------------------------------------------------------------------------------


def answered(
    bundle: Bundle, wanted: Sequence[Wanted], answers: Array, others: Mapping[str, Values] = NO_OTHERS
) -> list[tuple[Wanted, Values]]:
    """Return the values of each output that is wanted, (n_rows, 1), or its classes; `others` stand beside the outputs.

    Raises NotFinite if an answer is too large for its datatype.
    """
    with np.errstate(over="ignore"):
        numbers = all_finite(answers.astype(bundle.architecture.dtype, copy=False))
    # Labels are taken from the float64 probabilities: rounded to float32, two of them may be equal.
    columns = {**bundle.named(answers if bundle.labels is not None else numbers), **others}
    return [
        (one, _classes(bundle, one, columns[one.name], numbers) if one.n_classes else columns[one.name].reshape(-1, 1))
        for one in wanted
    ]


def beside(bundle: Bundle, question: OipQuestion, answers: Array) -> Mapping[str, Values]:
    """Return the ends of intervals, (n_rows,) in the datatype of the outputs, or the sets as JSON texts, by name.

    Raises Unprocessable, NoCalibration or TooFewRows where they cannot be given, NotFinite as `answered` does.
    """
    if question.levels is NO_LEVELS:
        return NO_OTHERS
    question.levels.check(bundle)
    sure = question.levels.sureness(bundle, question.rows, answers)
    columns = Reply(bundle, answers, ends=sure.ends, members=sure.members).columns
    with np.errstate(over="ignore"):
        return {
            name: texts_of_lists(columns[name])
            if sure.ends is None
            else all_finite(columns[name].astype(bundle.architecture.dtype)[:, None])[:, 0]
            for name in question.levels.names(bundle.outputs)
        }


def _classes(bundle: Bundle, wanted: Wanted, values: Values, probabilities: Values) -> Values:
    """Return the most probable classes of each row, (n_rows, n_classes), as `score:index:label`.

    A number is the only class of its output: `score:index`.
    """
    scores = values.reshape(-1, 1) if bundle.labels is None else probabilities
    labels = [""] if bundle.labels is None else [f":{label}" for label in bundle.labels]
    best = np.argsort(-scores, axis=1, kind="stable")[:, : wanted.n_classes]
    texts = [
        [f"{row[place]!s}:{place}{labels[place]}" for place in places]
        for row, places in zip(scores, best.tolist(), strict=True)
    ]
    return np.array(texts, dtype=object)
