#!/usr/bin/env bash
# pyarrow: nanoseconds cast to microseconds are cut off towards 1970; NumPy, pandas and polars cut off towards the past.
#
# A good engineer would expect: the same moment, made coarser by any of the libraries that share Arrow's memory, is the
# same moment.
# What happens: with safe=False, pyarrow divides and drops the rest, so a moment before 1970 becomes a later one; the
# others round down. 1.5 microseconds before 1970 is -1 for pyarrow and -2 for the others, and 1 ns before midnight of
# New Year 1970 is 1970 for pyarrow and 1969 for the others.
# Who meets it: whoever compares or joins moments from before 1970 (births, archives, climate) that took different ways
# from the nanoseconds of pandas or Parquet, or takes year, weekday or hour of one.
#
# pyarrow 26.0.1, polars 2.1.0, pandas 3.1.1, numpy as they need it, Python 3.11, Linux x86_64. Seen on 2026-11-28, twice:
#   pyarrow [0, -1, 1]; numpy [-1, -2, 1]; pandas [-1, -2, 1]; polars [-1, -2, 1]
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pyarrow==26.0.1 polars==2.1.0 pandas==3.1.1
cat > "$folder/cast.py" <<'PYTHON'
import sys

import numpy
import pandas
import polars
import pyarrow

NANOSECONDS = [-1, -1500, 1500]
moments = numpy.array(NANOSECONDS, dtype="datetime64[ns]")
found = {
    "pyarrow": pyarrow.array(moments).cast(pyarrow.timestamp("us"), safe=False).cast(pyarrow.int64()).to_pylist(),
    "numpy": moments.astype("datetime64[us]").astype("int64").tolist(),
    "pandas": pandas.Series(moments).dt.as_unit("us").astype("int64").tolist(),
    "polars": polars.Series(moments).dt.cast_time_unit("us").to_physical().to_list(),
}
print("; ".join(f"{library} {microseconds}" for library, microseconds in found.items()))
others = [found[library] for library in ("numpy", "pandas", "polars")]
sys.exit(not (found["pyarrow"] == [0, -1, 1] and others == [[-1, -2, 1]] * 3))
PYTHON
"$folder/venv/bin/python" "$folder/cast.py"
