"""Tables of pandas and DuckDB: uploaded in every format that they write, learned, and asked in every format."""

import datetime
import decimal
import io
import json
import random
import tempfile
import time
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
from cases import asked, case, got, main, posted

N_ROWS = 60
CSV, LINES = "text/csv", "application/x-ndjson"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KINDS = {
    "small": "number",
    "whole": "number",
    "real": "number",
    "price": "number",
    "flag": "boolean",
    "colour": "category",
    "note": "text",
    "day": "date",
    "seen": "date",
    "at": "time",
    "waited": "duration",
}
# What they write as something else: decimals as texts, durations as numbers or as intervals of months and days.
OTHERWISE = {
    "pandas, JSON lines": {"price"},
    "pandas, Excel": {"waited"},
    "DuckDB, Parquet": {"waited"},
    "DuckDB, Arrow": {"waited"},
}


def frame_of(seed: int) -> pd.DataFrame:
    """Return a table with a column of every kind, a tenth of its cells missing, and what is to be predicted."""
    rng = random.Random(seed)
    start = datetime.datetime(2020, 1, 1)

    def some(draw):
        return [None if rng.random() < 0.1 else draw() for _ in range(N_ROWS)]

    def later(most):
        return start + datetime.timedelta(seconds=rng.randrange(most))

    colours = some(lambda: rng.choice(["red", "green", "blue, dark"]))
    table = pa.table(
        {
            "small": pa.array(some(lambda: rng.randint(-128, 127)), pa.int8()),
            "whole": pa.array(some(lambda: rng.randint(-(2**50), 2**50)), pa.int64()),
            "real": pa.array(some(lambda: rng.randint(-(2**20), 2**20) / 8)),
            "price": pa.array(some(lambda: decimal.Decimal(rng.randint(0, 10**6)) / 100), pa.decimal128(20, 2)),
            "flag": pa.array(some(lambda: rng.random() < 0.5)),
            "colour": pa.array(colours).dictionary_encode(),
            "note": pa.array(some(lambda: " ".join(rng.choice(["late", "sea", "view", "é"]) for _ in range(5)))),
            "day": pa.array(some(lambda: later(10**8).date())),
            "seen": pa.array(some(lambda: later(10**8)), pa.timestamp("us")),
            "at": pa.array(some(lambda: later(86_400).time()), pa.time64("us")),
            "waited": pa.array(some(lambda: later(10**6) - start + datetime.timedelta(days=1)), pa.duration("us")),
            "cost": pa.array([len(colour or "") + rng.random() for colour in colours]),
        }
    )
    return table.to_pandas()


def by_pandas(frame: pd.DataFrame, folder: Path) -> dict[str, tuple[str, bytes]]:
    frame.to_csv(folder / "p.csv", index=False)
    frame.to_parquet(folder / "p.parquet")
    frame.to_json(folder / "p.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")
    frame.to_excel(folder / "p.xlsx", index=False)
    indexed = io.StringIO()
    frame.to_csv(indexed)
    return {
        "pandas, CSV": (CSV, (folder / "p.csv").read_bytes()),
        "pandas, CSV with its index": (CSV, indexed.getvalue().encode()),
        "pandas, Parquet": (PARQUET, (folder / "p.parquet").read_bytes()),
        "pandas, JSON lines": (LINES, (folder / "p.jsonl").read_bytes()),
        "pandas, Excel": (XLSX, (folder / "p.xlsx").read_bytes()),
    }


def by_duckdb(frame: pd.DataFrame, folder: Path) -> dict[str, tuple[str, bytes]]:
    connection = duckdb.connect()
    connection.register("given", pa.Table.from_pandas(frame, preserve_index=False))
    connection.execute("create table rows as select * from given")
    for name, how in (("d.csv", ""), ("d.parquet", "(format parquet)"), ("d.jsonl", "(format json)")):
        connection.execute(f"copy rows to '{folder / name}' {how}")
    arrow = connection.sql("select * from rows").to_arrow_table()
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, arrow.schema) as writer:
        writer.write_table(arrow)
    return {
        "DuckDB, CSV": (CSV, (folder / "d.csv").read_bytes()),
        "DuckDB, Parquet": (PARQUET, (folder / "d.parquet").read_bytes()),
        "DuckDB, JSON lines": (LINES, (folder / "d.jsonl").read_bytes()),
        "DuckDB, Arrow": (ARROW, stream.getvalue().to_pybytes()),
    }


def written(frame: pd.DataFrame) -> dict[str, tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        return by_pandas(frame, Path(folder)) | by_duckdb(frame, Path(folder))


def uploaded(media_type: str, content: bytes) -> dict:
    status, _, answer = asked("POST", "/datasets?name=tables", content, content_type=media_type)
    assert status in (200, 201), (media_type, answer[:300])
    return json.loads(answer)


def facts_of(stored: dict, left_out: set[str]) -> dict:
    """Return what is found of each column, whatever the type that the format gave it."""
    columns = {column["name"]: column for column in stored["columns"]}
    return {
        name: (columns[name]["kind"], columns[name]["missing"], columns[name]["distinct"])
        for name in KINDS
        if name not in left_out
    }


@case
def every_file_is_read_as_the_same_columns():
    for seed in range(4):
        found = {}
        for name, (media_type, content) in written(frame_of(seed)).items():
            left_out = OTHERWISE.get(name, set())
            facts = facts_of(uploaded(media_type, content), left_out)
            assert {column: kind for column, (kind, *_) in facts.items()} == {
                column: kind for column, kind in KINDS.items() if column not in left_out
            }, (name, facts)
            for column, fact in facts.items():
                assert found.setdefault(column, fact) == fact, (name, column, found[column], fact)


@case
def every_file_is_learned_and_answered_alike():
    files = written(frame_of(9).drop(columns="waited"))
    stored = uploaded(*files["pandas, Parquet"])
    data = {"kind": "table", "dataset": stored["id"], "target": "cost"}
    spec = {"name": "tables", "data": data, "fit": {"epochs": 100}}
    job = posted("/train", {"spec": spec}, prefer="wait=120")
    while job["status"] not in ("succeeded", "failed"):
        time.sleep(0.2)
        job = got(f"/train/{job['id']}")
    assert job["status"] == "succeeded", job
    answers = {}
    for name, (media_type, content) in files.items():
        if media_type == XLSX or "price" in OTHERWISE.get(name, ()):
            continue  # a workbook is no body of a question
        status, _, answer = asked("POST", "/predict/tables", content, content_type=media_type)
        assert status == 200, (name, answer[:300])
        answers[name] = costs_in(media_type, answer)
    expected = answers["pandas, Parquet"]
    assert len(expected) == N_ROWS
    for name, costs in answers.items():
        assert costs == expected, name


def costs_in(media_type: str, answer: bytes) -> list[float]:
    if media_type == PARQUET:
        return pd.read_parquet(io.BytesIO(answer))["cost"].tolist()
    if media_type == ARROW:
        return pa.ipc.open_stream(answer).read_all()["cost"].to_pylist()
    if media_type == LINES:
        return [json.loads(line)["cost"] for line in answer.splitlines()]
    return pd.read_csv(io.BytesIO(answer), float_precision="round_trip")["cost"].tolist()


main()
