"""Columns of Arrow in questions: every type that may be learned from a file may be asked with, and reads alike."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.errors import BodyTooLarge
from app.formats import arrow_rows, arrow_stream, parquet
from app.formats.expected import Expected, ExpectedColumn
from models_store.errors import PatternServerError
from models_store.tables.table import Kind, Table, from_json
from tests.arrow_types import CASES, FORMS, IN_ARROW, NAMES, content_of

PROJECT = Path(__file__).parents[3]
READERS = {"stream": arrow_stream.read, "file": arrow_stream.read, "parquet": parquet.read}


def read(content: bytes, form: str, *columns: tuple[str, Kind]) -> Table:
    typed = tuple(ExpectedColumn(name, kind, takes_missing=True) for name, kind in columns)
    expected = Expected(tuple(name for name, _ in columns), typed)
    rows, _ = READERS[form.rpartition(" ")[2]](content, expected, 100)
    assert isinstance(rows, Table)
    return rows


@pytest.mark.parametrize(("form", "column", "kind", "written"), CASES, ids=NAMES)
def test_every_type_is_read_as_json_would_write_it(form: str, column: Any, kind: Kind, written: list[Any]) -> None:
    table = read(content_of(pa.table({"x": column}), form, 2), form, ("x", kind))
    cells = [None if cell != cell else cell for cell in table.columns["x"].tolist()]
    assert cells == [None if one is None else from_json(kind, one) for one in written]


@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_is_held_once_is_not_written_out_in_every_row(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_rows, "MOST_BYTES", 30_000)
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 50, pa.int8()), pa.array(["a" * 500]))
    assert len(read(content_of(pa.table({"x": column}), form), form, ("x", "text"))) == 50
    with pytest.raises(BodyTooLarge):
        read(content_of(pa.table({"x": column, "y": column}), form), form, ("x", "text"), ("y", "text"))


def test_what_may_unpack_to_more_than_its_bytes_is_known_by_its_beginning() -> None:
    for column in (pa.array([1.0]), pa.array(["a"]), pa.array([0], pa.time32("s"))):
        table = pa.table({"x": column})
        assert not arrow_stream.unpacks(content_of(table, "stream"))
        assert all(arrow_stream.unpacks(content_of(table, form)) for form in FORMS[2:])
    assert all(
        arrow_stream.unpacks(content_of(pa.table({"x": column}), "stream")) for column, _, _ in IN_ARROW.values()
    )
    assert arrow_stream.unpacks(content_of(pa.table({"x": pa.nulls(3)}), "stream"))
    assert not any(arrow_stream.unpacks(body) for body in (b"", b"sesame", bytes(100), b"\xff" * 100))


@pytest.mark.parametrize("form", ["compressed stream", "compressed file", "parquet"])
def test_what_unpacks_to_very_much_is_refused_before_it_is_unpacked(form: str) -> None:
    body = content_of(pa.table({"x": [letter * 10_000_000 for letter in "abcdefg"]}), form)
    assert len(body) < 4_000_000
    with pytest.raises(BodyTooLarge):
        read(body, form, ("x", "text"))


def test_no_bytes_of_any_type_end_the_process() -> None:
    # What would take the server down takes down a child only.
    hostile = "from tests.app.formats.test_arrow_types import read_hostile_bodies; read_hostile_bodies()"
    child = subprocess.run([sys.executable, "-c", hostile], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout.split()) == (0, ["survived"]), child.stderr


def read_hostile_bodies(seed: int = 0) -> None:
    rng = random.Random(seed)
    names = {f"x{place}": (column, kind) for place, (column, kind, _) in enumerate(IN_ARROW.values())}
    names["v"] = (pa.array(["a" * 20, None, "b"], pa.string_view()), "text")
    names["b"] = (pa.array([b"a" * 20, None, b"b"], pa.binary_view()), "category")
    table = pa.table({name: column for name, (column, _) in names.items()})
    columns = [(name, kind) for name, (_, kind) in names.items()]
    for form in FORMS:
        good = content_of(table if form != "parquet" else table.select(["v", "b"]), form, 2)
        for _ in range(2000):
            changed = bytearray(good)
            for place in rng.choices(range(len(changed)), k=rng.randint(1, 4)):
                changed[place] = rng.choice([0, 1, 2, 4, 8, 127, 128, 255, rng.randrange(256)])
            try:
                read(bytes(changed), form, *columns)
            except PatternServerError as error:
                assert len(str(error)) < 300
    print("survived")  # noqa: T201  # said to the parent process
