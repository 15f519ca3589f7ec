"""JSON lines: keys are columns, and each column is of the one kind that all its values have."""

import gzip
from typing import Any

import polars as pl
import pytest

from models_store.tables import file_limits, json_lines
from models_store.tables.inference import TableError, facts, read
from tests.models_store.tables.table_files import Write, columns_of

LINES = '{"a": 1, "b": "x", "c": true}\n{"b": "y", "a": 2.5, "d": null}\n\n{"a": null, "c": false}\n'


@pytest.mark.parametrize("rows_at_once", [1, 2, 100])
def test_keys_are_columns_and_what_a_line_lacks_is_missing(
    write: Write, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "ROWS_AT_ONCE", rows_at_once)
    frame = read(write(LINES), "json-lines")
    assert columns_of(frame) == {
        "a": [1.0, 2.5, None],
        "b": ["x", "y", None],
        "c": [True, None, False],
        "d": [None, None, None],
    }
    assert frame.dtypes == [pl.Float64, pl.String, pl.Boolean, pl.Float64]
    assert columns_of(read(write(gzip.compress(LINES.encode())), "json-lines")) == columns_of(frame)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["1", "2", "null"], pl.Int64, [1, 2, None]),
        (["1", "2.5", "1e3"], pl.Float64, [1.0, 2.5, 1000.0]),
        (["1", '"NA"', '"2"'], pl.Int64, [1, None, 2]),
        (["1", '"two"'], pl.String, ["1", "two"]),
        (["true", '"yes"'], pl.String, ["true", "yes"]),
        (['"007"', '"008"'], pl.Categorical, ["007", "008"]),
        (['"1"', '"2"'], pl.Categorical, ["1", "2"]),
        (['"say \\"hi\\""', '""', '"  "'], pl.String, ['say "hi"', None, None]),
        (["12345678901234567890", "2"], pl.String, ["12345678901234567890", "2"]),
        (["18446744073709551616", "18446744073709551617"], pl.String, ["18446744073709551616", "18446744073709551617"]),
        (["-9223372036854775809", "null"], pl.String, ["-9223372036854775809", None]),
        (["9" * 500, "1.5"], pl.Float64, [float("inf"), 1.5]),
        (["1e400", "-1e400", "2"], pl.Float64, [float("inf"), float("-inf"), 2.0]),
        (["0.00012345678901234567", "1e-5"], pl.Float64, [0.00012345678901234567, 1e-5]),
        (['"\\ud83d\\ude00 18446744073709551616"', '"x"'], pl.String, ["\U0001f600 18446744073709551616", "x"]),
    ],
)
def test_a_column_is_of_the_kind_of_all_its_values(
    write: Write, values: list[str], dtype: type[pl.DataType], expected: list[Any]
) -> None:
    column = read(write("\n".join(f'{{"x": {value}}}' for value in values)), "json-lines")["x"]
    assert column.dtype == dtype
    assert column.to_list() == expected


def test_a_number_too_large_is_asked_about_as_in_csv(write: Write) -> None:
    (found,) = facts(read(write('{"x": 1.5}\n{"x": 1e400}\n'), "json-lines"))
    (in_csv,) = facts(read(write("x\n1.5\n1e400\n"), "csv"))
    assert found == in_csv
    assert (found.ambiguity or "").startswith("x: infinite, or too large for a number, in data row 2")


def test_what_polars_writes_is_read_again(write: Write) -> None:
    frame = pl.DataFrame({"n": [1, None, 3], "x": [0.1, 2.0, None], "s": ["a", "é\n", None], "f": [True, None, False]})
    assert read(write(frame.write_ndjson()), "json-lines").equals(frame)
    assert [found.kind for found in facts(frame)] == ["number", "number", "category", "boolean"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file has no rows; expected a JSON object on each line"),
        ('{"a": 1}\n{"a": }\n', 'line 2: no JSON; expected an object, such as {"a": 1}, on each line'),
        ('{"a": NaN}\n', "line 1: no JSON"),
        ('{"a": NaN, "b": 18446744073709551616}\n', "line 1: no JSON"),
        ('{"a": "\\ud800", "b": 18446744073709551616}\n', "line 1: no JSON"),
        ('{"a": 18446744073709551616, "a": 1}\n', "line 1: the key a stands there twice"),
        ('{"a": 1}\n[1]\n', "line 2: expected an object whose keys name the columns, found a list"),
        ("5\n", "line 1: expected an object whose keys name the columns, found a single value"),
        ('{"a": 1}\n\n{"a": [1]}\n', "line 3: column a holds a list; a cell is a number, a text, a boolean or null"),
        ('{"a": {"b": 1}}\n', "line 1: column a holds an object"),
        ('{"a": 1}\n{"": 1}\n', "column 2 has no name"),
        ('{"a": 1}\n{"a": 1, "b": 2, "a": 3}\n', "line 2: the key a stands there twice"),
    ],
)
def test_what_is_no_row_is_refused_by_its_line(write: Write, text: str, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(text), "json-lines")
    assert str(refusal.value).startswith(said)


def test_a_colon_in_a_text_is_no_key(write: Write) -> None:
    assert columns_of(read(write('{"a": "x: y", "b": 1}\n'), "json-lines")) == {"a": ["x: y"], "b": [1.0]}


def test_too_many_values_are_refused_while_they_are_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_limits, "MOST_CELLS", 5)
    with pytest.raises(TableError, match="more than 5 values"):
        read(write('{"a": 1, "b": 2}\n' * 3), "json-lines")
