#!/usr/bin/env bash
# polars writes columns of 128-bit integers to Arrow and Parquet files that pyarrow cannot open, not even for the other
# columns.
#
# A good engineer would expect: what one Arrow library writes as an Arrow or Parquet file, the reference library reads;
# or the writer refuses a type that the format does not have.
# What happens: polars writes Int128 without a word and reads it back. pyarrow fails at the schema, in both formats:
# "Integers with more than 64 bits not implemented". Selecting other columns does not help.
# Who meets it: people who sum integers in a wide type with polars, and hand the file to anything that is built on
# pyarrow.
#
# polars 2.1.0, pyarrow 26.0.1, Python 3.11, Linux x86_64. Seen on 2026-11-28, twice:
#   write_ipc: polars reads it, pyarrow: ArrowNotImplementedError; write_parquet: polars reads it, pyarrow:
#   ArrowNotImplementedError
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
cat > "$folder/read.py" <<'PYTHON'
import io
import sys

import polars
import pyarrow
import pyarrow.parquet

TABLE = polars.DataFrame({"n": polars.Series([1, 2], dtype=polars.Int128), "y": [1.0, 2.0]})
WAYS = {
    "write_ipc": (polars.read_ipc, lambda file: pyarrow.ipc.open_file(file).read_all()),
    "write_parquet": (polars.read_parquet, lambda file: pyarrow.parquet.read_table(file, columns=["y"])),
}
said, are_refused = [], True
for write, (read_back, open_with_pyarrow) in WAYS.items():
    file = io.BytesIO()
    getattr(TABLE, write)(file)
    file.seek(0)
    assert read_back(file).equals(TABLE)
    file.seek(0)
    try:
        open_with_pyarrow(file)
        outcome = "reads it"
    except pyarrow.ArrowNotImplementedError as error:
        outcome = type(error).__name__
    are_refused &= outcome == "ArrowNotImplementedError"
    said.append(f"{write}: polars reads it, pyarrow: {outcome}")
print("; ".join(said))
sys.exit(not are_refused)
PYTHON
"$folder/venv/bin/python" "$folder/read.py"
