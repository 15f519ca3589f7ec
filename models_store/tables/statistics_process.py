"""Reads a file of SPSS or Stata in a process of its own, which a damaged file may end.

python -I THIS PATH PROGRAM MOST_CELLS      stdout: a line of JSON; Arrow, with the numbers that stand for dates
                                            exit status: NOT_INSTALLED, UNREADABLE

{"labels": {column: [[value, label], …]}, "formats": {column: "DATE11"}, "types": {column: "double"}}
"""

import json
import sys

import polars as pl

NOT_INSTALLED, UNREADABLE = 3, 4


def main() -> None:
    path, program, most_cells = sys.argv[1:]
    try:
        import pyreadstat  # deferred: of the extra `statistics`
    except ImportError:
        sys.exit(NOT_INSTALLED)
    read = pyreadstat.read_sav if program == "spss" else pyreadstat.read_dta
    try:
        _, about = read(path, metadataonly=True, output_format="dict")
        # What the file says of its rows may be untrue, or nothing: one more than may be is read, and refused.
        most = int(most_cells) // max(1, len(about.column_names)) + 1
        # It reads durations as times of day, and of the formats of dates a part.
        frame, about = read(path, output_format="polars", row_limit=most, disable_datetime_conversion=True)
    except pyreadstat.ReadstatError:
        sys.exit(UNREADABLE)
    assert isinstance(frame, pl.DataFrame)
    labels = {name: list(found.items()) for name, found in about.variable_value_labels.items()}
    said = {"labels": labels, "formats": about.original_variable_types, "types": about.readstat_variable_types}
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
    frame.write_ipc_stream(sys.stdout.buffer)


if __name__ == "__main__":
    main()
