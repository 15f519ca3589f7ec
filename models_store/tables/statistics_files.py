"""Files of SPSS (sav, zsav) and Stata (dta) as polars frames, by pyreadstat in a process of its own.

A column all of whose values have labels is one of labels; user-missing values are missing.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from models_store.errors import TableError, shortened_name
from models_store.tables import file_limits, statistics_process
from models_store.tables.csv_rows import check_names
from models_store.tables.reading import Reading, whole_where_exact
from models_store.tables.statistics_process import NOT_INSTALLED
from models_store.tables.text_columns import without_missing
from models_store.tables.typed_texts import marked

Labels = Mapping[str, Mapping[Any, str]]
Program = Literal["spss", "stata"]
PROGRAMS: dict[Program, str] = {"spss": "SPSS", "stata": "Stata"}


def read_statistics(path: Path, program: Program) -> Reading:
    """Read the whole file. Raises TableError where it is none, or where pyreadstat is not installed."""
    frame, labels = _decoded(path, program)
    check_names(frame.columns)
    file_limits.check_size(frame.height, frame.width)
    columns = [_typed(column, labels.get(column.name, {})) for column in frame]
    partly = [column.name for column in columns if column.dtype.is_numeric() and labels.get(column.name)]
    return Reading(marked(without_missing(pl.DataFrame(columns))), tuple(map(_said, partly)))


def _decoded(path: Path, program: Program) -> tuple[pl.DataFrame, Labels]:
    status, content = asyncio.run(_in_a_process(path, program))
    if status == NOT_INSTALLED:
        raise TableError(
            "files of SPSS and Stata are read by pyreadstat, which is not installed here: "
            "pip install 'pattern-server[statistics]', or save the table as CSV"
        )
    if status != 0:
        raise TableError(f"the file cannot be read as {PROGRAMS[program]}; is it whole, and of that format?")
    about, _, table = content.partition(b"\n")
    labels = {name: dict(pairs) for name, pairs in json.loads(about)["labels"].items()}
    return pl.read_ipc_stream(table), labels


async def _in_a_process(path: Path, program: Program) -> tuple[int | None, bytes]:
    """Return the exit status and what is written. A damaged file ends pyreadstat's process, and not this one."""
    # -I: the folder of the script holds modules that may be called like others.
    command = (sys.executable, "-I", str(Path(statistics_process.__file__)), str(path), program)
    process = await asyncio.create_subprocess_exec(
        *command, str(file_limits.MOST_CELLS), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    content, _ = await process.communicate()
    return process.returncode, content


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
