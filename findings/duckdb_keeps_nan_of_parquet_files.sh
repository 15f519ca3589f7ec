#!/usr/bin/env bash
# DuckDB answers a filter on floats otherwise where they come from a Parquet file: `isnan(x)` finds none of its NaN, and
# `not isnan(x)` keeps them. pyarrow's filters miss them as well.
#
# A good engineer would expect: a table has the same rows in memory and in a file, whatever the filter; and after
# `where not isnan(x)`, a mean is a number.
# What happens: the statistics in a Parquet file tell the smallest and the largest number and leave NaN out, as the
# format has it. DuckDB takes them to bound all values, so that of 1, 2, NaN, 3 none is NaN and all are at most 5: to
# itself, in memory, NaN is more than any number. pyarrow decides `is_null(nan_is_null=True)` and `~(x <= 5)` by the same
# statistics, once they are asked of a file. Nothing warns.
# Who meets it: whoever prepares a table from Parquet files of pandas, polars or pyarrow in which NaN is a missing
# number, and leaves out, or looks for, the rows that lack one.
# The way out: null in the place of NaN before the file is written, or write_statistics=False; DuckDB's own files keep no
# bounds where NaN is.
#
# duckdb 2.0.1, pyarrow 26.0.1, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice; rows in memory, and of the file:
#   isnan(x): 1, 0; not isnan(x): 3, 4; x <= 5: 3, 4; x > 5: 1, 0; pyarrow is_null: 1, 0; pyarrow not x <= 5: 1, 0
#   mean where not isnan(x): 2.0, nan
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cat > "$folder/filter.py" <<'PYTHON'
import math
import sys

import duckdb
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

path = sys.argv[1]
table = pyarrow.table({"x": [1.0, 2.0, float("nan"), 3.0]})
pyarrow.parquet.write_table(table, path)


def asked(what: str, condition: str) -> tuple[float, float]:
    """Return what DuckDB answers of the table in memory, and of the file."""
    sources = ("rows", f"'{path}'")
    memory, file = (duckdb.sql(f"select {what} from {s} where {condition}").fetchall()[0][0] for s in sources)
    return memory, file


duckdb.register("rows", table)
found = {where: asked("count(*)", where) for where in ("isnan(x)", "not isnan(x)", "x <= 5", "x > 5")}
x = pyarrow.dataset.field("x")
for name, condition in {"pyarrow is_null": x.is_null(nan_is_null=True), "pyarrow not x <= 5": ~(x <= 5)}.items():
    of_file = pyarrow.dataset.dataset(path).to_table(filter=condition)
    found[name] = (table.filter(condition).num_rows, of_file.num_rows)
means = asked("avg(x)", "not isnan(x)")
print("; ".join(f"{name}: {memory}, {file}" for name, (memory, file) in found.items()))
print(f"mean where not isnan(x): {means[0]}, {means[1]}")
as_seen = [*found.values()] == [(1, 0), (3, 4), (3, 4), (1, 0), (1, 0), (1, 0)]
sys.exit(not (as_seen and means[0] == 2 and math.isnan(means[1])))
PYTHON
"$folder/venv/bin/python" "$folder/filter.py" "$folder/x.parquet"
