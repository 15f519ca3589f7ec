"""Files of SPSS (sav, zsav) and Stata (dta) as polars frames, by pyreadstat in a process of its own.

A column all of whose values have labels is one of labels; user-missing values are missing; numbers that the format of
their column shows as dates, times or durations are these.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from models_store.errors import TableError
from models_store.tables import file_limits, statistics_process
from models_store.tables.csv_rows import check_names
from models_store.tables.reading import Reading, whole_where_exact
from models_store.tables.statistics_dates import temporal
from models_store.tables.statistics_process import NOT_INSTALLED
from models_store.tables.text_columns import without_missing
from models_store.tables.typed_texts import marked
from models_store.wording import shortened_name

Labels = Mapping[Any, str]
Program = Literal["spss", "stata"]
PROGRAMS: dict[Program, str] = {"spss": "SPSS", "stata": "Stata"}


@dataclass(frozen=True)
class About:
    """What a file says of its columns, by name."""

    labels: Mapping[str, Labels]
    formats: Mapping[str, str]
    """Such as DATE11, or %td."""
    types: Mapping[str, str]
    """How its numbers are stored: double, float, int32, …"""


def read_statistics(path: Path, program: Program) -> Reading:
    """Read the whole file. Raises TableError where it is none, or where pyreadstat is not installed."""
    frame, about = _decoded(path, program)
    check_names(frame.columns)
    file_limits.check_size(frame.height, frame.width)
    columns = [_typed(column, about) for column in frame]
    partly = [column.name for column in columns if column.dtype.is_numeric() and about.labels.get(column.name)]
    return Reading(marked(without_missing(pl.DataFrame(columns))), tuple(map(_said, partly)))


def _decoded(path: Path, program: Program) -> tuple[pl.DataFrame, About]:
    status, content = asyncio.run(_in_a_process(path, program))
    if status == NOT_INSTALLED:
        raise TableError(
            "files of SPSS and Stata are read by pyreadstat, which is not installed here: "
            "pip install 'pattern-server[statistics]', or save the table as CSV"
        )
    if status != 0:
        raise TableError(f"the file cannot be read as {PROGRAMS[program]}; is it whole, and of that format?")
    line, _, table = content.partition(b"\n")
    said = json.loads(line)
    labels = {name: dict(pairs) for name, pairs in said["labels"].items()}
    return pl.read_ipc_stream(table), About(labels, said["formats"], said["types"])


async def _in_a_process(path: Path, program: Program) -> tuple[int | None, bytes]:
    """Return the exit status and what is written. A damaged file ends pyreadstat's process, and not this one."""
    # -I: the folder of the script holds modules that may be called like others.
    command = (sys.executable, "-I", str(Path(statistics_process.__file__)), str(path), program)
    process = await asyncio.create_subprocess_exec(
        *command, str(file_limits.MOST_CELLS), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    content, _ = await process.communicate()
    return process.returncode, content


def _typed(column: pl.Series, about: About) -> pl.Series:
    if column.dtype == pl.Null:
        return column.cast(pl.Float64)
    moments = temporal(column, about.formats.get(column.name, ""))
    if moments is not None:
        return moments
    labels = about.labels.get(column.name, {})
    distinct = column.drop_nulls().unique().to_list()
    if labels and distinct and all(value in labels for value in distinct):
        return column.replace_strict(dict(labels), return_dtype=pl.String, default=None)
    if not column.dtype.is_float():
        return column
    # A float of Stata that is a category has the shortest name that stands for it, as in every format.
    is_single = about.types.get(column.name) == "float"
    return whole_where_exact(column.fill_nan(None).cast(pl.Float32 if is_single else pl.Float64))


def _said(name: str) -> str:
    return f"some values of {shortened_name(name)} have labels and others have none; it is read as numbers"
