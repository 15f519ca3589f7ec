"""Files of SPSS and Stata: labelled values are categories where all have a label; user-missing values are missing."""

import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import pytest

from models_store.tables import file_limits
from models_store.tables.files import reading
from models_store.tables.inference import Form, TableError, read, table_of
from models_store.tables.spelling import Spelling
from models_store.tables.statistics_dates import temporal
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


# -- dates, times of day, durations ----------------------------------------------------------------------------------

SECONDS_TO_1970 = 12_219_379_200
HOUR = 3600.0


def of_spss(path: Path, seconds: list[float | None], form: str) -> list[Any]:
    pyreadstat.write_sav(pl.DataFrame({"x": seconds}, schema={"x": pl.Float64}), path, variable_format={"x": form})
    return read(path, "spss")["x"].to_list()


@pytest.mark.parametrize("form", ["DATE11", "ADATE10", "EDATE10", "JDATE7", "SDATE10", "MOYR8", "QYR8", "WKYR10"])
def test_every_format_of_days_of_spss_is_of_dates(tmp_path: Path, form: str) -> None:
    seconds = SECONDS_TO_1970 + (DAY - datetime.date(1970, 1, 1)).total_seconds()
    assert of_spss(tmp_path / "x.sav", [seconds, None], form) == [DAY, None]


@pytest.mark.parametrize(
    ("form", "hours", "read_as"),
    [
        ("TIME8", [13.5, 0, None], [datetime.time(13, 30), datetime.time(0), None]),
        ("TIME8", [30, 13.5, None], [datetime.timedelta(hours=30), datetime.timedelta(hours=13.5), None]),
        ("TIME8", [24, 1], [datetime.timedelta(hours=24), datetime.timedelta(hours=1)]),
        ("TIME11.2", [-0.5, 1], [datetime.timedelta(hours=-0.5), datetime.timedelta(hours=1)]),
        ("DTIME12", [100.5, 1], [datetime.timedelta(hours=100.5), datetime.timedelta(hours=1)]),
        ("MTIME8", [0.25, 2], [datetime.timedelta(hours=0.25), datetime.timedelta(hours=2)]),
        ("MONTH9", [3, 12], [3 * HOUR, 12 * HOUR]),
    ],
)
def test_hours_of_spss_beyond_a_day_are_durations(
    tmp_path: Path, form: str, hours: list[float | None], read_as: list[Any]
) -> None:
    assert of_spss(tmp_path / "x.sav", [hour if hour is None else hour * HOUR for hour in hours], form) == read_as


def test_moments_of_spss_beyond_the_years_that_are_read_are_refused_by_their_row(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="column x, data row 2: not in the years 1 to 9999"):
        of_spss(tmp_path / "x.sav", [SECONDS_TO_1970, 1e13], "DATETIME20")


@pytest.mark.parametrize(
    ("form", "number", "read_as"),
    [
        ("%td", 21988, datetime.date(2020, 3, 14)),
        ("%d", 21988, datetime.date(2020, 3, 14)),
        ("%-td", 21988, datetime.date(2020, 3, 14)),
        ("%tdDD/NN/CCYY", 21988, datetime.date(2020, 3, 14)),
        ("%td", -0.5, datetime.date(1959, 12, 31)),
        ("%tc", 86_400_001, datetime.datetime(1960, 1, 2, 0, 0, 0, 1000)),
        ("%tcDD/NN/CCYY_HH:MM", 86_400_001, datetime.datetime(1960, 1, 2, 0, 0, 0, 1000)),
        ("%tcHH:MM:SS", 48_660_000, datetime.time(13, 31)),
        ("%tchh:MM_am", 48_660_000, datetime.time(13, 31)),
        ("%tcHH:MM:SS", 86_400_000, datetime.datetime(1960, 1, 2)),
        ("%tw", 3131, datetime.date(2020, 3, 18)),
        ("%tm", 722, datetime.date(2020, 3, 1)),
        ("%tmCCYY-NN", -1, datetime.date(1959, 12, 1)),
        ("%tq", 241, datetime.date(2020, 4, 1)),
        ("%th", 121, datetime.date(2020, 7, 1)),
        ("%ty", 2020, 2020),
    ],
)
def test_every_format_of_dates_of_stata_is_of_dates(form: str, number: float, read_as: Any) -> None:
    numbers = pl.Series("x", [number, None], pl.Float64)
    found = temporal(numbers, form)
    assert (numbers if found is None else found).to_list() == [read_as, None]


def test_floats_of_stata_that_are_categories_have_short_names(tmp_path: Path) -> None:
    path = tmp_path / "table.dta"
    pandas = pytest.importorskip("pandas", reason="pandas writes floats of 32 bits; pyreadstat writes none")
    frame = pandas.DataFrame({"dose": [0.1, 1.1, 0.1], "n": [1.0, 2, 3]}, dtype="float32")
    frame.to_stata(path, write_index=False)
    frame = read(path, "stata")
    assert frame.schema == {"dose": pl.Float32, "n": pl.Int64}
    table = table_of(frame, {"dose": "category"}, Spelling())
    assert table.columns["dose"].tolist() == ["0.1", "1.1", "0.1"]
