#!/usr/bin/env bash
# `select max(c)` in DuckDB answers a value that no row of the Parquet file has: a category of pandas that is not used.
#
# A good engineer would expect: the maximum of a column is one of its values; categories that no row has any more, as
# after a filter, are names on a list and no data.
# What happens: pyarrow writes the smallest and the largest value of a dictionary column from the categories that rows
# use, unless all are used; and it counts a missing value as a used category. So with missing values and one category
# unused, the file says that "mid" is its largest value, though no row is "mid". DuckDB answers min and max from what the
# file says, without a look at the rows. polars, which looks, answers "low".
# Who meets it: whoever writes categories of pandas (or an Arrow dictionary), a level of them filtered out, to Parquet,
# and asks DuckDB for ranges or the latest of them: versions, months, or grades as texts.
# The way out: .cat.remove_unused_categories() before the file is written.
#
# duckdb 2.0.1, pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   rows ['high', 'low', None]: DuckDB min high, max mid; of the same rows in memory: high, low; polars of the file: low
#   without the missing value: DuckDB min high, max low
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    duckdb==2.0.1 pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0
cat > "$folder/ask.py" <<'PYTHON'
import sys

import duckdb
import pandas
import polars

path = sys.argv[1]
LEVELS = ["high", "low", "mid"]


def ends(source: str) -> tuple[str, str]:
    return duckdb.sql(f"select min(c), max(c) from {source}").fetchall()[0]


def written(cells: list[str | None]) -> pandas.DataFrame:
    frame = pandas.DataFrame({"c": pandas.Categorical(cells, categories=LEVELS)})
    frame.to_parquet(path)
    return frame


frame = written(["high", "low", None])
duckdb.register("kept", frame)
of_file, in_memory = ends(f"'{path}'"), ends("kept")
of_polars = polars.scan_parquet(path).select(polars.col("c").cast(polars.String).max()).collect().item()
print(
    f"rows ['high', 'low', None]: DuckDB min {of_file[0]}, max {of_file[1]}; "
    f"of the same rows in memory: {in_memory[0]}, {in_memory[1]}; polars of the file: {of_polars}"
)
written(["high", "low"])
without = ends(f"'{path}'")
print(f"without the missing value: DuckDB min {without[0]}, max {without[1]}")
are_as_seen = (of_file, in_memory, of_polars) == (("high", "mid"), ("high", "low"), "low")
sys.exit(not (are_as_seen and without == ("high", "low")))
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "$folder/c.parquet"
