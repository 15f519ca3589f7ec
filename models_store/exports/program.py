"""A trained pattern in one file: raw values in, raw values out. It needs Python 3.10 and NumPy.

    python FILE < rows.csv > answers.csv       what the server's POST /predict answers to the same CSV
    python FILE --probabilities < rows.csv     of labels: how probable each is, too

As a module it has `predict(records)`, `probabilities(records)` and `COLUMNS`.
"""

import base64
import csv
import datetime
import io
import json
import math
import re
import sys
from itertools import combinations_with_replacement, pairwise
from typing import Any

import numpy as np

PATTERN: dict[str, Any] = json.loads(r"""{}""")

# What the training rows held of each column: a range, or values. Dates are ISO 8601.
COLUMNS = {column["name"]: column["seen"] for column in PATTERN.get("inputs", {}).get("columns", [])}


class Refused(ValueError):
    """A row that cannot be answered; the message names row and column."""


def predict(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answer to each record: a number for each output, or the most probable label.

    A value that is None or left out is missing. Raises Refused.
    """
    names = PATTERN["output"]["columns"]
    return [dict(zip(names, row, strict=True)) for row in zip(*_named(_answers_to(records)), strict=True)]


def probabilities(records: list[dict[str, Any]]) -> list[dict[str, dict[str, float]]]:
    """Return, of a classification, how probable each label is for each record. Raises Refused."""
    output = PATTERN["output"]
    if "labels" not in output:
        raise Refused("only classification patterns have probabilities")
    return [{output["column"]: dict(zip(output["labels"], row, strict=True))} for row in _answers_to(records).tolist()]


def main() -> int:
    """Read a CSV from standard input, and write its answers to standard output."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
        answers = _answers(_read_csv(text))
        sys.stdout.buffer.write(_csv_of(answers, "--probabilities" in sys.argv[1:]))
    except UnicodeDecodeError:
        return _fail("the CSV is not UTF-8")
    except csv.Error as error:
        return _fail(f"this is not CSV: {error}")
    except Refused as error:
        return _fail(str(error))
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 1


# -- answers -----------------------------------------------------------------------------------------------------------


def _answers_to(records: list[dict[str, Any]]) -> Any:
    return _answers([_values_of(record, f"row {row}") for row, record in enumerate(records)])


def _answers(rows: list[list[Any]]) -> Any:
    """Return float64 (n_rows, n_answers) of rows of parsed cells."""
    if not rows:
        return np.empty((0, len(PATTERN["output"].get("labels", PATTERN["output"]["columns"]))))
    dtype = np.dtype(PATTERN["network"]["dtype"])
    with np.errstate(over="ignore", invalid="ignore"):
        encoded = _encoded(rows).astype(dtype)
        answers = _decoded(_network(encoded.astype(np.float64)))
    for row in np.flatnonzero(~(np.isfinite(encoded).all(axis=1) & np.isfinite(answers).all(axis=1))):
        raise Refused(f"row {row}: a value is too large for the network, or its answer is not a finite number")
    return answers


def _network(flowing: Any) -> Any:
    network = PATTERN["network"]
    width, members = network["n_inputs"], network["members"]
    flowing = np.broadcast_to(flowing, (members, *flowing.shape))
    for layer in network["layers"]:
        kernel = _unpacked(layer["kernel"]).reshape(members, width, layer["units"])
        bias = _unpacked(layer["bias"]).reshape(members, 1, layer["units"])
        flowing, width = ACTIVATIONS[layer["activation"]](flowing @ kernel + bias), layer["units"]
    return flowing.mean(axis=0)


def _unpacked(packed: str) -> Any:
    little = np.dtype(PATTERN["network"]["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(packed), dtype=little).astype(np.float64)


def _softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sigmoid(x: Any) -> Any:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


def _selu(x: Any) -> Any:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0.0)))


# Rounded to float32, as the network was trained with them.
LEAKY_SLOPE, SQRT_HALF = float(np.float32(0.2)), float(np.float32(math.sqrt(0.5)))
_erfc = np.vectorize(math.erfc, otypes=[np.float64])
ACTIVATIONS: dict[str, Any] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "selu": _selu,
    "gelu": lambda x: x * 0.5 * _erfc(-x * SQRT_HALF),
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "leaky_relu": lambda x: np.maximum(x, LEAKY_SLOPE * x),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "softmax": _softmax,
}


def _decoded(outputs: Any) -> Any:
    output = PATTERN["output"]
    if "labels" not in output:
        found = _inverse(output["scaler"], outputs)
        return found if "logarithm" not in output else _exponential(output["logarithm"], found)
    if output["is_binary"]:
        return np.concatenate([1.0 - outputs, outputs], axis=1)
    return outputs / outputs.sum(axis=1, keepdims=True)


def _named(answers: Any) -> Any:
    """Return a list of values for each output: numbers, or labels as the data had them."""
    output = PATTERN["output"]
    if "labels" not in output:
        return answers.T.tolist()
    return [[output["values"][place] for place in answers.argmax(axis=1)]]


# -- encoders ----------------------------------------------------------------------------------------------------------


def _encoded(rows: list[list[Any]]) -> Any:
    inputs = PATTERN["inputs"]
    if "degree" in inputs:
        return _scaled(inputs["scaler"], _monomials(np.array(rows, dtype=np.float64), inputs["degree"]))
    columns = [*zip(*rows, strict=True)]
    encoded = [_column(column, values) for column, values in zip(inputs["columns"], columns, strict=True)]
    return np.concatenate([*encoded, *(_pair(pair, columns) for pair in inputs["pairs"])], axis=1)


def _pair(pair: dict[str, Any], columns: list[Any]) -> Any:
    """Return the position of two columns along some directions of their plane, each encoded as a number is."""
    both = []
    for place in pair["columns"]:
        fill = PATTERN["inputs"]["columns"][place]["fill"]
        filled = [fill if value is None else value for value in columns[place]]
        both.append([math.nan if value is None else value for value in filled])
    scaled = _scaled(pair["scaler"], np.array(both, dtype=np.float64).T)
    positions = (np.where(np.isnan(scaled), 0.0, scaled) @ np.array(pair["directions"]).T).T
    encoded = [_numbers(own, each) for own, each in zip(pair["positions"], positions, strict=True)]
    return np.concatenate(encoded, axis=1)


def _monomials(raw: Any, degree: int) -> Any:
    columns = range(raw.shape[1])
    sizes = [factors for size in range(1, degree + 1) for factors in combinations_with_replacement(columns, size)]
    return np.stack([raw[:, factors].prod(axis=1) for factors in sizes], axis=1)


def _scaled(scaler: dict[str, Any], raw: Any) -> Any:
    return (raw - np.array(scaler["offset"])) / np.array(scaler["scale"])


def _inverse(scaler: dict[str, Any], scaled: Any) -> Any:
    return scaled * np.array(scaler["scale"]) + np.array(scaler["offset"])


def _exponential(logarithm: dict[str, Any], found: Any) -> Any:
    """Return raw numbers of logarithms, between 0 and the highest that the pattern answers."""
    shift, highest = np.array(logarithm["shift"]), np.array(logarithm["highest"])
    return np.clip(np.exp(np.minimum(found, np.log(highest + shift))) - shift, 0.0, highest)


def _column(column: dict[str, Any], values: Any) -> Any:
    """Return the network inputs of a column, (n_rows, width); None stands for a missing value."""
    encoder, fill = column["encoder"], column["fill"]
    values = [fill if value is None else value for value in values]
    kind = column["kind"]
    if kind == "category":
        return _categories(encoder, values)
    if kind == "text":
        return _texts(encoder, values)
    numbers = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    if kind == "boolean":
        return _booleans(encoder, numbers)
    if kind == "date":
        lengths = [CYCLES[cycle] for cycle in encoder["cycles"]]
        return np.concatenate([_circles(encoder["days"], lengths, numbers), _numbers(encoder["days"], numbers)], axis=1)
    if kind == "time":
        parts = _circles(encoder["seconds"], [86400.0], numbers), _numbers(encoder["seconds"], numbers)
        return np.concatenate(parts, axis=1)
    return _numbers(encoder["seconds"] if kind == "duration" else encoder, numbers)


CYCLES = {"day": 1.0, "week": 7.0, "year": 365.2425}


def _circles(encoder: dict[str, Any], lengths: list[float], numbers: Any) -> Any:
    filled = np.where(np.isnan(numbers), encoder["median"], numbers)
    turns = [2 * np.pi * filled / length for length in lengths]
    return np.stack([curve(turn) for turn in turns for curve in (np.sin, np.cos)], axis=1)


def _numbers(encoder: dict[str, Any], numbers: Any) -> Any:
    missing = np.isnan(numbers)
    filled = np.where(missing, encoder["median"], numbers)[:, None]
    parts = [_scaled(encoder["scaler"], filled)]
    edges = np.array(encoder["edges"])
    if len(edges) > 1:
        risen = (filled - edges[:-1]) / (edges[1:] - edges[:-1])
        pieces = np.clip(risen, 0.0, 1.0)
        # The first piece goes on below 0, the last one above 1.
        pieces[:, 0] = np.minimum(risen[:, 0], 1.0)
        pieces[:, -1] = np.maximum(pieces[:, -1], risen[:, -1])
        parts.append(pieces)
    if encoder["takes_missing"]:
        parts.append(missing[:, None].astype(np.float64))
    return np.concatenate(parts, axis=1)


def _booleans(encoder: dict[str, Any], numbers: Any) -> Any:
    signs = np.nan_to_num(2 * numbers - 1, nan=0.0)[:, None]
    return np.concatenate([signs, np.isnan(numbers)[:, None]], axis=1) if encoder["takes_missing"] else signs


def _categories(encoder: dict[str, Any], values: list[Any]) -> Any:
    unseen = len(encoder["values"])
    slots = {**{value: slot for slot, value in enumerate(encoder["values"])}, None: unseen + 1}
    encoded = np.zeros((len(values), unseen + 2))
    encoded[np.arange(len(values)), [slots.get(value, unseen) for value in values]] = 1.0
    means = encoder.get("means", {})
    if not means:
        return encoded
    no_means = [0.0] * len(next(iter(means.values())))
    return np.concatenate([encoded, [means.get(value, no_means) for value in values]], axis=1)


WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def _texts(encoder: dict[str, Any], values: list[Any]) -> Any:
    places = {word: place for place, word in enumerate(encoder["words"])}
    weights = np.array(encoder["weights"], dtype=np.float32)
    encoded = np.zeros((len(values), len(places)), dtype=np.float32)
    for row, text in enumerate(values):
        terms = _terms(text or "", encoder.get("terms", "words"))
        found = [places[term] for term in terms if term in places]
        if encoder["weighting"] == "tf-idf":
            np.add.at(encoded[row], found, weights[found])
            encoded[row] /= np.linalg.norm(encoded[row]) or 1.0
        else:
            encoded[row, found] = 1.0
    return encoded


def _terms(text: str, terms: str) -> list[str]:
    words = WORD.findall(text.lower())
    if terms == "words":
        return words
    beginnings = [word[:5] for word in words]
    long_ones = [f"{beginning}-" for beginning in beginnings if len(beginning) == 5]
    return [*words, *long_ones, *(f"{first} {second}" for first, second in pairwise(beginnings))]


# -- cells -------------------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
INFINITE = re.compile("[-+]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
# A number with a leading zero, or with more digits than a float64 keeps, is a code.
LEADING_ZERO, MOST_DIGITS = re.compile(r"[-+]?0[0-9]", re.ASCII), 15
LONGEST_CATEGORY = 200
EXPECTED = {
    "number": "a number",
    "category": "a text, a number or a boolean",
    "boolean": "true or false",
    "date": "a date such as 2024-05-31 or 2024-05-31T18:00",
    "time": "a time of day such as 13:31 or 13:31:05",
    "duration": "a duration such as 85:00:00, 3 days 13:00:00 or PT85H",
    "text": "a text",
}


def _values_of(record: dict[str, Any], where: str) -> list[Any]:
    columns = PATTERN["inputs"]["columns"]
    _check_names(record, f"{where}: ")
    return [_cell(column, _plain(record.get(column["name"])), where, is_csv=False) for column in columns]


def _plain(value: Any) -> Any:
    """Return a number or a boolean of NumPy, as rows of pandas have them, as one of Python."""
    is_plain = isinstance(value, (np.bool_, np.integer, np.floating)) and not isinstance(value, np.timedelta64)
    return value.item() if is_plain else value


def _check_names(given: Any, where: str) -> None:
    columns = PATTERN["inputs"]["columns"]
    names = [column["name"] for column in columns]
    absent = [name for name in names if name not in given]
    required = [column["name"] for column in columns if not column.get("takes_missing")]
    if missing := [name for name in absent if name in required or len(absent) == len(names)]:
        raise Refused(f"{where}missing: {', '.join(missing)}")
    known = {*names, *PATTERN["ignored"]}
    if unknown := [name for name in given if name not in known and not INDEX.fullmatch(name)]:
        raise Refused(f"{where}no columns of the pattern: {', '.join(unknown)}; there are {', '.join(names)}")


# The names that pandas gives to an index without a name.
INDEX = re.compile("__index_level_[0-9]+__|Unnamed: 0")


def _cell(column: dict[str, Any], value: Any, where: str, *, is_csv: bool) -> Any:
    """Return the parsed value, None where it is missing. Raises Refused."""
    where = f"{where}, column {column['name']}"
    if "encoder" not in column:
        return _plain_number(value, where, is_csv=is_csv)
    cell = _typed(column, value, where, is_csv=is_csv)
    if cell is None and not column["takes_missing"]:
        raise Refused(f"{where}: expected {EXPECTED[column['kind']]}, found no value; training saw none missing")
    return cell


def _plain_number(value: Any, where: str, *, is_csv: bool) -> float:
    is_text = isinstance(value, str)
    is_number = NUMBER.fullmatch(value.strip()) if is_csv and is_text else type(value) in (int, float)
    if not is_number:
        raise Refused(f"{where}: expected a number")
    return _finite(value, where)


def _finite(value: Any, where: str) -> float:
    try:
        # `float` leaves characters that `strip` takes away.
        number = float(value.strip() if isinstance(value, str) else value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Refused(f"{where}: expected a finite number")
    return number


def _typed(column: dict[str, Any], value: Any, where: str, *, is_csv: bool) -> Any:
    if value is None or _is_missing(column, value, is_csv=is_csv):
        return None
    kind = column["kind"]
    parsed = _parsed(column, value, where, is_csv=is_csv)
    if parsed is None:
        raise Refused(f"{where}: expected {EXPECTED[kind]}")
    if not column["missing_cells"]:
        return parsed
    as_cell = _category_of(parsed) if kind == "text" else parsed
    cells = column["missing_cells"] if isinstance(as_cell, str) else map(float, column["missing_cells"])
    return None if as_cell in cells else parsed


def _is_missing(column: dict[str, Any], value: Any, *, is_csv: bool) -> bool:
    spelling = PATTERN["inputs"]["spelling"]
    if is_csv or column["takes_missing"]:
        if value != value:  # NaN
            return True
        word = value.strip() if isinstance(value, str) else None
        if word is not None and (word in spelling["missing"] or (column["is_ordered"] and word in spelling["nothing"])):
            return True
    if column["kind"] != "number" or not column["missing_cells"]:
        return False
    number = _number_in(value) if isinstance(value, str) else value
    is_infinite = isinstance(number, float) and math.isinf(number)
    return is_infinite and number in map(float, column["missing_cells"])


def _number_in(text: str) -> Any:
    bare = text.strip()
    return float(bare) if NUMBER.fullmatch(bare) or INFINITE.fullmatch(bare) else None


def _parsed(column: dict[str, Any], value: Any, where: str, *, is_csv: bool) -> Any:
    """Return the value as the encoder takes it; None where it is of another kind."""
    kind = column["kind"]
    is_text = isinstance(value, str)
    if kind == "number":
        if is_text and is_csv:
            return _finite(value, where) if NUMBER.fullmatch(value.strip()) else None
        return _finite(value, where) if type(value) in (int, float) else None
    if kind == "boolean":
        return _boolean(value)
    if kind == "category":
        return _category(value, where)
    if kind == "text":
        return value if is_text else None
    texts = _texts_of(value) if "format" in column else [value.strip()] if is_text else []
    found = (_moment_or_duration(column, text) for text in texts)
    return next((seconds for seconds in found if seconds is not None), None)


def _boolean(value: Any) -> Any:
    spelling = PATTERN["inputs"]["spelling"]
    if isinstance(value, bool):
        return float(value)
    word = value.strip().lower() if isinstance(value, str) else None
    return 1.0 if word in spelling["true"] else 0.0 if word in spelling["false"] else None


def _category(value: Any, where: str) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) in (int, float):
        _finite(value, where)
        return _category_of(repr(value))
    if not isinstance(value, str):
        return None
    if len(value) > LONGEST_CATEGORY:
        raise Refused(f"{where}: expected a category of at most {LONGEST_CATEGORY} characters")
    return _category_of(value)


def _category_of(text: str) -> str:
    """Return the name of a category: one for 3, 3.0, 3e0 and "3", another for 007; one for True and true."""
    text = text.strip()
    if NUMBER.fullmatch(text) and not LEADING_ZERO.match(text) and sum(map(str.isdigit, text)) <= MOST_DIGITS:
        number = float(text)
        if math.isfinite(number):
            is_whole = number.is_integer() and abs(number) < 10**MOST_DIGITS
            return str(int(number)) if is_whole else repr(number)
    return text.lower() if text in ("True", "False", "TRUE", "FALSE") else text


# -- dates, times of day and durations ---------------------------------------------------------------------------------

DAY, MICROSECONDS = 86400, 1_000_000
EPOCH = datetime.date(1970, 1, 1)
# Days since 1970 of the years 0001 to 9999.
FIRST_DAY, LAST_DAY = -719162, 2932897
MOST_DAYS = 3_652_059
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WHOLE = re.compile(r"(-?[0-9]+)\.0*")


def _texts_of(value: Any) -> list[str]:
    """Return the texts that a value of a column with a format may stand for: of a whole number its digits."""
    if isinstance(value, bool):
        return []
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return [str(int(value))]
    if not isinstance(value, str):
        return []
    whole = WHOLE.fullmatch(value.strip())
    return [value.strip()] if whole is None else [value.strip(), whole[1]]


def _moment_or_duration(column: dict[str, Any], text: str) -> Any:
    """Return days since 1970-01-01, seconds since midnight, or seconds; None where the text is none."""
    if column["kind"] == "date":
        found = (_moment(re.compile(form, re.ASCII), text) for form in column["forms"])
        moment = next((micros for micros in found if micros is not None), None)
        return None if moment is None else moment * 1.0 / (DAY * MICROSECONDS)
    if column["kind"] == "duration":
        return _duration(text)
    if "format" in column:
        micros = _moment(re.compile(column["format"], re.ASCII), text)
        if micros is not None:
            return micros % (DAY * MICROSECONDS) * 1.0 / MICROSECONDS
    return _time(text)


def _time(text: str) -> Any:
    found = re.compile(PATTERN["inputs"]["spelling"]["time"], re.ASCII).fullmatch(text)
    if found is None or (found["minute"] is None and found["half"] is None):
        return None
    micros = _micros_of_day(found.groupdict())
    return None if micros is None else micros * 1.0 / MICROSECONDS


def _moment(form: Any, text: str) -> Any:
    """Return microseconds since 1970-01-01 00:00; None where the text has not this form, or there is no such day."""
    found = form.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    for name, unit in (("epoch", MICROSECONDS), ("epoch_ms", 1000)):
        if part.get(name) is not None:
            fraction = _micros_in(part.get("fraction"))
            moment = int(part[name]) * unit + (-fraction if part[name].startswith("-") else fraction)
            return moment if FIRST_DAY <= moment // (DAY * MICROSECONDS) < LAST_DAY else None
    time = _micros_of_day(part)
    try:
        day = (_date(part) - EPOCH).days
    except ValueError:  # the 30th of February
        return None
    return None if time is None else day * DAY * MICROSECONDS + time


def _date(part: dict[str, Any]) -> datetime.date:
    short = int(part.get("short_year") or 0)
    year = int(part["year"]) if part.get("year") is not None else short + (1900 if short >= 69 else 2000)
    if part.get("week") is not None:
        return datetime.date.fromisocalendar(year, int(part["week"]), int(part["weekday"] or 1))
    if part.get("quarter") is not None:
        return datetime.date(year, 3 * int(part["quarter"]) - 2, 1)
    if part.get("day_of_year") is not None:
        first, last = datetime.date(year, 1, 1).toordinal(), datetime.date(year, 12, 31).toordinal()
        if not 1 <= int(part["day_of_year"]) <= last - first + 1:
            raise ValueError
        return datetime.date.fromordinal(first + int(part["day_of_year"]) - 1)
    name = part.get("name")
    month = int(part.get("month") or 1) if name is None else 1 + MONTHS.index(name[:3].lower())
    return datetime.date(year, month, int(part.get("day") or 1))


def _micros_of_day(part: dict[str, Any]) -> Any:
    hour, minute, second = (int(part.get(name) or 0) for name in ("hour", "minute", "second"))
    half = part.get("half")
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return (hour * 3600 + minute * 60 + second) * MICROSECONDS + _micros_in(part.get("fraction"))


def _micros_in(fraction: Any) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _duration(text: str) -> Any:
    forms = [re.compile(form, re.ASCII) for form in PATTERN["inputs"]["spelling"]["durations"]]
    found = next((match for match in (form.fullmatch(text) for form in forms) if match is not None), None)
    if found is None:
        return None
    part = found.groupdict()
    sign = -1 if part["sign"] == "-" else 1
    of_days = (int(part.get("weeks") or 0) * 7 + int(part.get("days") or 0)) * DAY * MICROSECONDS
    is_negative = (part["seconds"] or "").startswith("-")
    whole = int(part.get("hours") or 0) * 3600 + int(part["minutes"] or 0) * 60 + int(part["seconds"] or 0)
    of_time = whole * MICROSECONDS + _micros_in(part["fraction"]) * (-1 if is_negative else 1)
    # Of `-3 days 13:00:00` the days alone are negative.
    days_alone = "time_sign" in part
    micros = sign * of_days + (-of_time if part["time_sign"] == "-" else of_time) if days_alone else 0
    micros = micros if days_alone else sign * (of_days + of_time)
    return micros * 1.0 / MICROSECONDS if abs(micros) <= MOST_DAYS * DAY * MICROSECONDS else None


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _read_csv(text: str) -> list[list[Any]]:
    """Return rows of parsed cells in the order of the pattern's columns. Raises Refused, which names the line."""
    csv.field_size_limit(1 << 24)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip() for name in next(lines, [])]
    if not header:
        raise Refused("the first line must name the columns")
    if len(header) > 1 and not header[0]:
        header[0] = "Unnamed: 0"  # the index of pandas
    if len(set(header)) != len(header):
        raise Refused("line 1: two columns have one name")
    _check_names(header, "line 1: ")
    columns = [
        (column, header.index(column["name"]) if column["name"] in header else len(header))
        for column in PATTERN["inputs"]["columns"]
    ]
    rows, blank = [], 0
    for fields in lines:
        blank = blank or (0 if fields else lines.line_num)
        if not fields:
            continue
        if blank:
            raise Refused(f"line {blank}: empty, with more rows after it")
        if len(fields) != len(header):
            raise Refused(f"line {lines.line_num}: expected {len(header)} fields, found {len(fields)}")
        fields.append("")  # of columns that the header leaves out
        rows.append([_cell(column, fields[place], f"line {lines.line_num}", is_csv=True) for column, place in columns])
    if not rows:
        raise Refused("the CSV has a header and no rows")
    return rows


def _csv_of(answers: Any, with_probabilities: bool) -> bytes:
    output = PATTERN["output"]
    columns, values = list(output["columns"]), _named(answers)
    if with_probabilities and "labels" in output:
        columns += [f"{output['column']}={label}" for label in output["labels"]]
        values += answers.T.tolist()
    written: list[str] = []
    # With these line ends each text that holds one is quoted, whatever Python's version.
    writer = csv.writer(_Lines(written), lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(map(_written, row) for row in zip(*values, strict=True))
    return "".join(line[:-2] + "\n" for line in written).encode()


def _written(cell: Any) -> Any:
    return ("true" if cell else "false") if isinstance(cell, bool) else cell


class _Lines:
    """A file that keeps each line that is written."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


if __name__ == "__main__":
    sys.exit(main())
