"""Files of SPSS and Stata: labelled values are categories where all have a label; user-missing values are missing."""

import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import pytest

from models_store.tables import file_limits
from models_store.tables.files import reading
from models_store.tables.inference import Form, TableError, read
from tests.models_store.tables.table_files import Write, columns_of

DAY, MOMENT = datetime.date(2024, 5, 31), datetime.datetime(2024, 5, 31, 18)
FRAME = pl.DataFrame(
    {
        "sex": [1.0, 2.0, 1.0, 9.0],
        "age": [20.5, 30.0, None, 99.0],
        "name": ["a", "b", "", "d"],
        "moment": [MOMENT] * 4,
        "day": [DAY] * 4,
        "part": [0.0, 1.0, 5.0, 7.0],
    }
)
LABELS: dict[str, dict[int | float, str]] = {"sex": {1: "male", 2: "female", 9: "refused"}, "part": {0: "none"}}
PLAINLY = {"name": ["a", "b", None, "d"], "moment": [MOMENT] * 4, "day": [DAY] * 4, "part": [0, 1, 5, 7]}
REMARK = "some values of part have labels and others have none; it is read as numbers"


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_of_spss_has_its_labels_and_no_values_that_its_users_call_missing(
    tmp_path: Path, compress: bool
) -> None:
    path = tmp_path / "table.sav"
    ranges: dict[str, list[Any]] = {"sex": [9], "age": [{"lo": 90, "hi": 99}]}
    pyreadstat.write_sav(
        FRAME, path, variable_value_labels=LABELS, missing_ranges=ranges, row_compress=not compress, compress=compress
    )
    found = reading(path, "spss")
    assert columns_of(found.frame) == {
        "sex": ["male", "female", "male", None],
        "age": [20.5, 30.0, None, None],
        **PLAINLY,
    }
    assert found.remarks == (REMARK,)


@pytest.mark.parametrize("version", [8, 12, 15])
def test_a_file_of_stata_has_its_labels(tmp_path: Path, version: int) -> None:
    path = tmp_path / "table.dta"
    pyreadstat.write_dta(FRAME, path, version=version, variable_value_labels=LABELS)
    found = reading(path, "stata")
    assert columns_of(found.frame) == {
        "sex": ["male", "female", "male", "refused"],
        "age": [20.5, 30.0, None, 99.0],
        **PLAINLY,
    }
    assert found.remarks == (REMARK,)


def test_missing_values_of_stata_that_have_a_letter_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "table.dta"
    frame = pl.DataFrame({"x": pl.Series([1, "a", 3], dtype=pl.Object), "y": [1, 2, 3]})
    pyreadstat.write_dta(frame, path, missing_user_values={"x": ["a"]})
    assert columns_of(read(path, "stata")) == {"x": [1, None, 3], "y": [1, 2, 3]}


@pytest.mark.parametrize("form", ["spss", "stata"])
@pytest.mark.parametrize("content", [b"", b"$FL2" + b"x" * 500, b"<stata_dta><header>", b"a,b\n1,2\n"])
def test_what_is_no_such_file_is_refused(write: Write, form: Form, content: bytes) -> None:
    with pytest.raises(TableError, match="the file cannot be read as S"):
        read(write(content), form)


def test_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyreadstat.write_sav(FRAME, tmp_path / "table.sav")
    monkeypatch.setattr(file_limits, "MOST_CELLS", 20)
    with pytest.raises(TableError, match="more than 20 values"):
        read(tmp_path / "table.sav", "spss")


def test_a_damaged_file_ends_the_process_that_reads_it_and_not_this_one(tmp_path: Path) -> None:
    path = tmp_path / "table.sav"
    pyreadstat.write_sav(FRAME, path, variable_value_labels=LABELS)
    content = bytearray(path.read_bytes())
    for place in range(176, len(content), 97):
        path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        try:
            assert read(path, "spss").width > 0
        except TableError as refusal:
            assert len(str(refusal)) < 300
