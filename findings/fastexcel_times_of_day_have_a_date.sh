#!/usr/bin/env bash
# fastexcel and polars.read_excel: a column of times of day in a workbook comes back as moments of 1899-12-31.
#
# A good engineer would expect: a cell that holds 13:31 in the format hh:mm:ss is a time of day, as for openpyxl, which
# gives datetime.time(13, 31) back; polars has the type Time for it.
# What happens: the column has the type Datetime, with the day of the number 0 of spreadsheets before it. Nothing warns,
# and a model that learns from it sees moments of one day of 1899.
# Who meets it: everybody who reads timetables, shifts or sensor logs from .xlsx with polars.
#
# fastexcel 0.21.0, polars 2.1.0, pyarrow 26.0.1, openpyxl 3.1.5, Python 3.11, Linux x86_64. Seen on 2026-11-28, twice:
#   openpyxl: time 13:31:00; fastexcel: Datetime(time_unit='ms', time_zone=None) 1899-12-31 13:31:00
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    fastexcel==0.21.0 polars==2.1.0 pyarrow==26.0.1 openpyxl==3.1.5
cat > "$folder/read.py" <<'PYTHON'
import datetime
import sys
from pathlib import Path

import openpyxl
import polars

path = Path(sys.argv[1])
book = openpyxl.Workbook()
for row in (["at"], [datetime.time(13, 31)], [datetime.time(7, 5)]):
    book.active.append(row)
book.save(path)
kept = openpyxl.load_workbook(path).active["A2"].value
read = polars.read_excel(path)["at"]
print(f"openpyxl: {type(kept).__name__} {kept}; fastexcel: {read.dtype!r} {read[0]}")
sys.exit(not (kept == datetime.time(13, 31) and read[0] == datetime.datetime(1899, 12, 31, 13, 31)))
PYTHON
"$folder/venv/bin/python" "$folder/read.py" "$folder/times.xlsx"
