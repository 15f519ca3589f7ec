"""Files of SPSS (sav, zsav) and Stata (dta) as polars frames, by pyreadstat.

A column all of whose values have labels is one of labels; user-missing values are missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from models_store.errors import TableError, shortened_name
from models_store.tables import file_limits
from models_store.tables.csv_rows import check_names
from models_store.tables.reading import Reading, whole_where_exact
from models_store.tables.text_columns import without_missing

Program = Literal["spss", "stata"]
PROGRAMS: dict[Program, str] = {"spss": "SPSS", "stata": "Stata"}


def read_statistics(path: Path, program: Program) -> Reading:
    """Read the whole file. Raises TableError where it is none, or where pyreadstat is not installed."""
    try:
        import pyreadstat  # deferred: of the extra `statistics`
    except ImportError:
        raise TableError(
            "files of SPSS and Stata are read by pyreadstat, which is not installed here: "
            "pip install 'pattern-server[statistics]', or save the table as CSV"
        ) from None
    read = pyreadstat.read_sav if program == "spss" else pyreadstat.read_dta
    try:
        _, about = read(str(path), metadataonly=True, output_format="dict")
        check_names(about.column_names)
        # What the file says of its rows may be untrue, or nothing: one more than may be is read, and refused.
        most = file_limits.MOST_CELLS // max(1, len(about.column_names)) + 1
        frame, about = read(str(path), output_format="polars", row_limit=most)
    except pyreadstat.ReadstatError:
        raise TableError(f"the file cannot be read as {PROGRAMS[program]}; is it whole, and of that format?") from None
    file_limits.check_size(frame.height, frame.width)
    labels: Mapping[str, Mapping[Any, str]] = about.variable_value_labels
    columns = [_typed(column, labels.get(column.name, {})) for column in frame]
    partly = [column.name for column in columns if column.dtype.is_numeric() and labels.get(column.name)]
    return Reading(without_missing(pl.DataFrame(columns)), tuple(map(_said, partly)))


def _typed(column: pl.Series, labels: Mapping[Any, str]) -> pl.Series:
    if column.dtype == pl.Null:
        return column.cast(pl.Float64)
    distinct = column.drop_nulls().unique().to_list()
    if labels and distinct and all(value in labels for value in distinct):
        return column.replace_strict(dict(labels), return_dtype=pl.String, default=None)
    if column.dtype.is_float():
        return whole_where_exact(column.fill_nan(None))
    if isinstance(column.dtype, pl.Datetime):
        return column.cast(pl.Datetime("us"))
    return column


def _said(name: str) -> str:
    return f"some values of {shortened_name(name)} have labels and others have none; it is read as numbers"
