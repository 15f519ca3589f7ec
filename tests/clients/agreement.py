"""Agreement: all dialects give the numbers and labels of the native API, for 100 rows of each pattern."""

import functools
import json
import random
from typing import Any

from cases import COLUMNS, asked, case, close, got, main, native, posted

RNG = random.Random(11)
N_ROWS = 100
TEXTS = {
    "port": ["S", "C", "Q", "Atlantis", None],
    "boarded": ["1912-04-10", "1912-04-27"],
    "note": ["deck", "sea view"],
}


def rows_of(summary: dict[str, Any]) -> list[list[Any]]:
    if summary["name"] == "passengers":
        return [
            [
                RNG.choice([None, float(RNG.randrange(80))]),
                RNG.choice(TEXTS["port"]),
                RNG.random() < 0.5,
                RNG.choice(TEXTS["boarded"]),
                RNG.choice(TEXTS["note"]),
            ]
            for _ in range(N_ROWS)
        ]
    ranges = got(f"/patterns/{summary['name']}")["card"]["inputs"]
    return [[round(RNG.uniform(one["minimum"], one["maximum"]), 3) for one in ranges] for _ in range(N_ROWS)]


def oip(name: str, columns: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    kinds = {one["name"]: one["datatype"] for one in got(f"/v2/models/{name}")["inputs"]}
    inputs = [
        {"name": column, "shape": [len(rows), 1], "datatype": kinds[column], "data": [row[place] for row in rows]}
        for place, column in enumerate(columns)
    ]
    outputs = posted(f"/v2/models/{name}/infer", {"inputs": inputs})["outputs"]
    return [list(row) for row in zip(*(one["data"] for one in outputs), strict=True)]


def serving_rows(name: str, columns: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    said = posted(f"/v1/models/{name}:predict", {"instances": [dict(zip(columns, row, strict=True)) for row in rows]})
    outputs = got(f"/patterns/{name}")["outputs"]
    return [[row[output] for output in outputs] if isinstance(row, dict) else [row] for row in said["predictions"]]


def serving_columns(name: str, columns: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    inputs = {column: [row[place] for row in rows] for place, column in enumerate(columns)}
    said = posted(f"/v1/models/{name}:predict", {"inputs": inputs})["outputs"]
    outputs = got(f"/patterns/{name}")["outputs"]
    return [
        list(row) for row in zip(*([said[one] for one in outputs] if isinstance(said, dict) else [said]), strict=True)
    ]


def invocations(form: str, name: str, columns: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    body: dict[str, Any] = {
        "dataframe_split": {"columns": columns, "data": rows},
        "dataframe_records": [dict(zip(columns, row, strict=True)) for row in rows],
        "instances": rows,
        "inputs": {column: [row[place] for row in rows] for place, column in enumerate(columns)},
    }
    said = posted(f"/invocations?pattern={name}", {form: body[form]})["predictions"]
    return [list(row.values()) for row in said]


def csv(path: str, name: str, columns: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    def cell(value: Any) -> str:
        return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)

    body = "\n".join([",".join(columns), *(",".join(map(cell, row)) for row in rows)]).encode()
    status, _, content = asked("POST", path.format(name), body, content_type="text/csv", accept="text/csv")
    assert status == 200, content[:300]
    lines = content.decode().split("\n")[1:-1]
    return [[cell if _is_text(cell) else float(cell) for cell in line.split(",")] for line in lines]


def _is_text(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return True
    return False


DIALECTS = {
    "Open Inference Protocol": oip,
    "TensorFlow Serving, rows": serving_rows,
    "TensorFlow Serving, columns": serving_columns,
    **{
        f"MLflow, {form}": functools.partial(invocations, form)
        for form in ("dataframe_split", "dataframe_records", "instances", "inputs")
    },
    "MLflow, CSV": functools.partial(csv, "/invocations?pattern={}"),
    "native, CSV": functools.partial(csv, "/predict/{}"),
}


def agree(dialect: str, summary: dict[str, Any], rows: list[list[Any]]) -> None:
    name, columns = summary["name"], summary["inputs"]
    assert name != "passengers" or columns == COLUMNS
    close(DIALECTS[dialect](name, columns, rows), native(name, rows))


for summary in got("/patterns")["patterns"]:
    drawn = rows_of(summary)
    for dialect in DIALECTS:
        check = functools.partial(agree, dialect, summary, drawn)
        check.__name__ = f"{summary['name']}, {dialect}"  # type: ignore[attr-defined]
        case(check)

main()
