"""Every form in which rows can be asked: each native format, and each form of each other protocol.

A form writes rows as a body, and reads an answer back as rows of numbers and texts.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import numpy as np
import pyarrow as pa

from app.dialects.oip.tensors import NUMBERS
from models_store.bundle import Bundle
from models_store.tables.table import Kind
from tests.app.dialects.oip.requests import body_of, in_bytes, in_json, outputs_in
from tests.app.over_http import ARROW, CSV, JSON, NPY, arrow_of, npy_of

Rows = list[dict[str, Any]]
Body = tuple[bytes, dict[str, str]]
Answers = list[list[float | str]]
# What a form can ask: everything; patterns of numbers; of numbers without missing values; of one number; of labels.
Scope = Literal["all", "regressions", "numbers", "no missing", "one input", "one output", "labels"]
DATATYPES: Mapping[Kind, str] = {"number": "FP64", "boolean": "BOOL"}
ARROW_TYPES = {"number": pa.float64(), "boolean": pa.bool_()}


@dataclass(frozen=True)
class Form:
    name: str
    path: str
    write: Callable[[Rows, Mapping[str, Kind]], Body]
    read: Callable[[httpx.Response, Sequence[str]], Answers]
    scope: Scope = "all"
    is_rounded: bool = False
    """True if numbers have the precision of the network, and not float64."""

    def takes(self, bundle: Bundle) -> bool:
        """True if this form can ask the pattern."""
        numbers = set(bundle.kinds.values()) == {"number"}
        match self.scope:
            case "all":
                return True
            case "regressions":
                return bundle.labels is None
            case "numbers":
                return numbers and bundle.labels is None
            case "no missing":
                return isinstance(bundle.golden_inputs, np.ndarray)
            case "one input":
                return len(bundle.inputs) == 1
            case "one output":
                return len(bundle.outputs) == 1 and bundle.labels is None
            case "labels":
                return bundle.labels is not None


# -- JSON ----------------------------------------------------------------------------------------------------------


def of_json(make: Callable[[Rows], Any]) -> Callable[[Rows, Mapping[str, Kind]], Body]:
    return lambda rows, _kinds: (json.dumps(make(rows)).encode(), {"content-type": JSON})


def lists(rows: Rows) -> list[list[Any]]:
    return [list(row.values()) for row in rows]


def columns(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def split(rows: Rows) -> dict[str, Any]:
    names = list(rows[0])[::-1]
    return {"columns": names, "data": [[row[name] for name in names] for row in rows]}


def under(key: str) -> Callable[[httpx.Response, Sequence[str]], Answers]:
    def read(answer: httpx.Response, outputs: Sequence[str]) -> Answers:
        said = answer.json()
        parts = [by_row(said[name], outputs) for name in (key, "probabilities") if name in said]
        return [leaves(row) for row in zip(*parts, strict=True)]

    return read


def by_row(said: Any, outputs: Sequence[str]) -> list[Any]:
    """Return the answer to each row, from any layout."""
    if isinstance(said, dict):
        by_output = [said[name] if isinstance(said[name], list) else [said[name]] for name in outputs]
        return [list(row) for row in zip(*by_output, strict=True)]
    return said if isinstance(said, list) else [said]


def leaves(said: Any) -> list[float | str]:
    if isinstance(said, dict | list | tuple):
        return [leaf for part in (said.values() if isinstance(said, dict) else said) for leaf in leaves(part)]
    return [said]


# -- other formats -------------------------------------------------------------------------------------------------


def write_csv(rows: Rows, _kinds: Mapping[str, Kind], *, header: bool = True) -> Body:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([list(rows[0])] if header else [])
    writer.writerows([str(cell).lower() if isinstance(cell, bool) else cell for cell in row] for row in lists(rows))
    return text.getvalue().encode(), {"content-type": CSV}


def write_csv_alone(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    return write_csv(rows, kinds, header=False)


def write_csv_for_csv(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    return write_csv(rows, kinds)[0], {"content-type": CSV, "accept": CSV}


def read_csv(answer: httpx.Response, _outputs: Sequence[str]) -> Answers:
    return [[cell_of(field) for field in fields] for fields in list(csv.reader(io.StringIO(answer.text)))[1:]]


def cell_of(field: str) -> float | str:
    try:
        return float(field)
    except ValueError:
        return field


def write_npy(dtype: str) -> Callable[[Rows, Mapping[str, Kind]], Body]:
    return lambda rows, _kinds: (npy_of(np.array(lists(rows), dtype=dtype)), {"content-type": NPY})


def read_npy(answer: httpx.Response, _outputs: Sequence[str]) -> Answers:
    rows: Answers = np.load(io.BytesIO(answer.content)).tolist()
    return rows


def write_arrow(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    schema = pa.schema([(name, ARROW_TYPES.get(kind, pa.string())) for name, kind in kinds.items()])
    return arrow_of(pa.Table.from_pylist(rows, schema), rows_a_batch=20), {"content-type": ARROW}


def read_arrow(answer: httpx.Response, _outputs: Sequence[str]) -> Answers:
    by_column = pa.ipc.open_stream(answer.content).read_all().to_pydict()
    return [list(row) for row in zip(*by_column.values(), strict=True)]


# -- tensors -------------------------------------------------------------------------------------------------------


def tensors_in_json(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    tensors = [in_json(name, DATATYPES.get(kinds[name], "BYTES"), cells) for name, cells in columns(rows).items()]
    return body_of(tensors)


def one_tensor_in_json(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    cells = [cell for row in lists(rows) for cell in row]
    return body_of([in_json("rows", "FP32", cells, [len(rows), len(kinds)])])


def tensors_in_bytes(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    written = [in_bytes(name, *typed(kinds[name], cells)) for name, cells in columns(rows).items()]
    return body_of([about for about, _ in written], *(content for _, content in written), **BINARY_OUTPUT)


def one_tensor_in_bytes(rows: Rows, _kinds: Mapping[str, Kind]) -> Body:
    about, content = in_bytes("rows", "FP32", np.array(lists(rows), dtype=np.float32))
    return body_of([about], content, **BINARY_OUTPUT)


def typed(kind: Kind, cells: list[Any]) -> tuple[str, Any]:
    if kind == "number":
        return "FP64", np.array(cells, dtype=np.float64)
    if kind == "boolean":
        return "BOOL", np.array(cells)
    return "BYTES", np.array(["" if cell is None else cell for cell in cells], dtype=object)


def best_classes(rows: Rows, kinds: Mapping[str, Kind]) -> Body:
    content, headers = tensors_in_json(rows, kinds)
    wanted = [{"name": "survived", "parameters": {"classification": 2}}]
    return json.dumps(json.loads(content) | {"outputs": wanted}).encode(), headers


BINARY_OUTPUT: dict[str, Any] = {"parameters": {"binary_data_output": True}}


def read_tensors(answer: httpx.Response, outputs: Sequence[str]) -> Answers:
    said = outputs_in(answer)
    if "inference-header-content-length" not in answer.headers:
        # Numbers in JSON have the digits that tell two float32 apart, and mean the float32.
        dtypes = {tensor["name"]: NUMBERS.get(tensor["datatype"], object) for tensor in answer.json()["outputs"]}
        said = {name: np.array(cells, dtypes[name]).tolist() for name, cells in said.items()}
    return [list(row) for row in zip(*(said[name] for name in outputs), strict=True)]


def read_classes(answer: httpx.Response, _outputs: Sequence[str]) -> Answers:
    best = outputs_in(answer)["survived"]
    return [list(pair) for pair in zip(best[::2], best[1::2], strict=True)]


# -- all of them ---------------------------------------------------------------------------------------------------

NATIVE, INFER, SCORING = "/predict/{pattern}", "/v2/models/{pattern}/infer", "/invocations?pattern={pattern}"
LIKELY = NATIVE + "?probabilities=true"
PREDICT, REGRESS, CLASSIFY = (f"/v1/models/{{pattern}}:{verb}" for verb in ("predict", "regress", "classify"))
FORMS = [
    Form("rows", NATIVE, of_json(lambda rows: {"inputs": lists(rows)}), under("outputs")),
    Form("records", NATIVE, of_json(lambda rows: {"inputs": rows}), under("outputs")),
    Form(
        "one record",
        NATIVE,
        of_json(lambda rows: {"inputs": rows[0] if len(rows) == 1 else rows}),
        under("outputs"),
    ),
    Form("columns", NATIVE, of_json(lambda rows: {"inputs": columns(rows)}), under("outputs")),
    Form("flat", NATIVE, of_json(lambda rows: {"inputs": [row["x"] for row in rows]}), under("outputs"), "one input"),
    Form("CSV", NATIVE, write_csv, read_csv),
    Form("npy, float64", NATIVE, write_npy("<f8"), read_npy, "numbers"),
    Form("npy, float32", NATIVE, write_npy("<f4"), read_npy, "numbers", is_rounded=True),
    Form("Arrow", NATIVE, write_arrow, read_arrow),
    Form("rows, likely", LIKELY, of_json(lambda rows: {"inputs": lists(rows)}), under("outputs"), "labels"),
    Form("CSV, likely", LIKELY, write_csv, read_csv, "labels"),
    Form("Arrow, likely", LIKELY, write_arrow, read_arrow, "labels"),
    Form("OIP in JSON", INFER, tensors_in_json, read_tensors, is_rounded=True),
    Form("OIP in bytes", INFER, tensors_in_bytes, read_tensors, is_rounded=True),
    Form("OIP in JSON, one tensor", INFER, one_tensor_in_json, read_tensors, "no missing", is_rounded=True),
    Form("OIP in bytes, one tensor", INFER, one_tensor_in_bytes, read_tensors, "no missing", is_rounded=True),
    Form("OIP, classes", INFER, best_classes, read_classes, "labels"),
    Form("TensorFlow, lists", PREDICT, of_json(lambda rows: {"instances": lists(rows)}), under("predictions")),
    Form("TensorFlow, records", PREDICT, of_json(lambda rows: {"instances": rows}), under("predictions")),
    Form("TensorFlow, columns", PREDICT, of_json(lambda rows: {"inputs": columns(rows)}), under("outputs")),
    Form("TensorFlow, regress", REGRESS, of_json(lambda rows: {"examples": rows}), under("results"), "one output"),
    Form("TensorFlow, classify", CLASSIFY, of_json(lambda rows: {"examples": rows}), under("results"), "labels"),
    Form("scoring, split", SCORING, of_json(lambda rows: {"dataframe_split": split(rows)}), under("predictions")),
    Form("scoring, records", SCORING, of_json(lambda rows: {"dataframe_records": rows}), under("predictions")),
    Form("scoring, instances", SCORING, of_json(lambda rows: {"instances": lists(rows)}), under("predictions")),
    Form("scoring, inputs", SCORING, of_json(lambda rows: {"inputs": columns(rows)}), under("predictions")),
    Form("scoring, CSV", SCORING, write_csv, under("predictions")),
    Form("scoring, CSV without header", SCORING, write_csv_alone, under("predictions")),
    Form("scoring, CSV to CSV", SCORING, write_csv_for_csv, read_csv),
]  # fmt: skip
