#!/usr/bin/env bash
# pyreadstat: durations of SPSS lose their days, and dates in some of the formats of SPSS and Stata come as bare numbers.
#
# A good engineer would expect: 30:00:00 in a column of SPSS's format TIME, or 1 06:00:00 in one of DTIME, is 30 hours:
# SPSS calls both durations. And a date is a date, whichever of the program's formats shows it.
# What happens: TIME and DTIME become times of day, modulo 24 hours, below 0 as well: 30 hours are 06:00. A date that is
# shown as MAR 2020 (MOYR, likewise QYR and WKYR) is 13803436800.0, seconds since 1582, and in Stata the display format
# %tdDD/NN/CCYY makes a number of what is a date by %td. Nothing warns, and a model learns from these numbers.
# Who meets it: whoever reads hours worked, waiting times or ages of SPSS, or dates in a format that somebody chose.
# The way out: disable_datetime_conversion=True, and metadata.original_variable_types.
#
# pyreadstat 1.3.7, polars 2.1.0, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   30 hours as TIME8: 06:00:00; 100.5 hours as DTIME12: 04:30:00; half an hour below 0 as TIME8: 23:30:00
#   2020-03-13 as DATE11: 2020-03-13; as MOYR8: 13803436800.0; as %td: 2020-03-13; as %tdDD/NN/CCYY: 21987.0
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pyreadstat==1.3.7 polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1
cat > "$folder/read.py" <<'PYTHON'
import sys
from pathlib import Path

import pandas
import polars
import pyreadstat

folder = Path(sys.argv[1])
DAY = 13_803_436_800  # 2020-03-13, in seconds since 1582-10-14


def of_spss(seconds: float, form: str) -> str:
    path = folder / "x.sav"
    pyreadstat.write_sav(polars.DataFrame({"x": [float(seconds)]}), path, variable_format={"x": form})
    return str(pyreadstat.read_sav(path, output_format="polars")[0]["x"][0])


def of_stata(form: str) -> str:
    """Return a date that pandas writes as %td, its format replaced in the file by another."""
    path = folder / "x.dta"
    frame = pandas.DataFrame({"x": [pandas.Timestamp("2020-03-13")]})
    frame.to_stata(path, convert_dates={"x": "td"}, write_index=False, version=117)
    content = path.read_bytes()
    begin = content.index(b"<formats>") + len(b"<formats>")
    path.write_bytes(content[:begin] + form.encode().ljust(49, b"\0") + content[begin + 49 :])
    return str(pyreadstat.read_dta(path, output_format="polars")[0]["x"][0])


hours = of_spss(30 * 3600, "TIME8"), of_spss(100.5 * 3600, "DTIME12"), of_spss(-1800, "TIME8")
dates = of_spss(DAY, "DATE11"), of_spss(DAY, "MOYR8"), of_stata("%td"), of_stata("%tdDD/NN/CCYY")
print(f"30 hours as TIME8: {hours[0]}; 100.5 hours as DTIME12: {hours[1]}; half an hour below 0 as TIME8: {hours[2]}")
print(f"2020-03-13 as DATE11: {dates[0]}; as MOYR8: {dates[1]}; as %td: {dates[2]}; as %tdDD/NN/CCYY: {dates[3]}")
are_cut = hours == ("06:00:00", "04:30:00", "23:30:00")
sys.exit(not (are_cut and dates == ("2020-03-13", f"{DAY}.0", "2020-03-13", "21987.0")))
PYTHON
"$folder/venv/bin/python" "$folder/read.py" "$folder"
