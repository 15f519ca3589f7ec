"""Digits in a text column of a file that says its types are names, whatever stands beside them."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from models_store.storage.datasets import Datasets, Form
from models_store.tables.inference import facts, read, table_of, without
from models_store.tables.spelling import Spelling
from tests.models_store.tables.table_files import Write, the_facts, values

Texts = list[str | None]


def _parquet(texts: Texts) -> bytes:
    return _written(lambda frame, file: frame.write_parquet(file), texts)


def _arrow(texts: Texts) -> bytes:
    return _written(lambda frame, file: frame.write_ipc(file), texts)


def _categories(texts: Texts) -> bytes:
    return _written(lambda frame, file: frame.cast(pl.Categorical).write_ipc_stream(file), texts)


def _written(write: Callable[[pl.DataFrame, io.BytesIO], object], texts: Texts) -> bytes:
    write(pl.DataFrame({"x": pl.Series(texts, dtype=pl.String)}), file := io.BytesIO())
    return file.getvalue()


def _json_lines(texts: Texts) -> bytes:
    return "".join(f"{json.dumps({'x': text})}\n" for text in texts).encode()


def _arff(texts: Texts) -> bytes:
    nominal = ",".join(f"'{text}'" for text in dict.fromkeys(texts) if text is not None)
    rows = "\n".join("?" if text is None else f"'{text}'" for text in texts)
    return f"@relation r\n@attribute x {{{nominal}}}\n@data\n{rows}\n".encode()


WRITERS: dict[str, tuple[Form, Callable[[Texts], bytes]]] = {
    "parquet": ("parquet", _parquet),
    "arrow": ("arrow", _arrow),
    "dictionary": ("arrow", _categories),
    "json-lines": ("json-lines", _json_lines),
    "arff": ("arff", _arff),
}
typed_files = pytest.mark.parametrize(("form", "content_of"), WRITERS.values(), ids=WRITERS)


@typed_files
@pytest.mark.parametrize("word", ["-", "none", ".", "n/a"])
def test_texts_of_digits_stay_a_category_beside_a_word_for_nothing(
    write: Write, form: Form, content_of: Callable[[Texts], bytes], word: str
) -> None:
    frame = read(write(content_of(["1", "2", word, None, "1"])), form)
    (found,) = facts(frame)
    assert (found.kind, found.missing, found.examples) == ("category", 1, ["1", "2", word])
    assert values(frame, "category") == ["1", "2", word, None, "1"]
    assert found.note is not None
    assert found.note.endswith("if they are numbers, say so: --column x=number (data.columns: {x: number})")
    (said,) = facts(frame, {"x": "number"})
    assert (said.kind, said.missing, said.examples) == ("number", 2, [1, 2])
    assert values(frame, "number") == [1, 2, None, None, 1]


@typed_files
def test_a_word_of_the_recipe_makes_no_numbers_of_them(
    write: Write, form: Form, content_of: Callable[[Texts], bytes]
) -> None:
    words = ("unknown", "-999")
    frame = without(read(write(content_of(["1", "2", "unknown", "-999", "1"])), form), words)
    (found,) = facts(frame, missing=words)
    assert (found.kind, found.missing, found.examples) == ("category", 2, ["1", "2"])
    cells = table_of(frame, {"x": "category"}, Spelling(frozenset(words))).columns["x"]
    assert cells.tolist() == ["1", "2", None, None, "1"]


@typed_files
def test_a_stored_table_still_knows_that_its_file_said_so(
    tmp_path: Path, form: Form, content_of: Callable[[Texts], bytes]
) -> None:
    (path := tmp_path / "table").write_bytes(content_of(["1", "2", "-", "1"]))
    datasets = Datasets(tmp_path / "store")
    stored = datasets.add(path, form)
    assert tuple(facts(datasets.frame(stored.id))) == stored.columns
    assert stored.columns[0].kind == "category"


def test_of_several_kinds_and_of_csv_they_are_numbers(write: Write) -> None:
    assert the_facts(read(write("x\n1\n2\n-\n"), "csv")["x"]).kind == "number"
    assert the_facts(read(write('{"x": 1}\n{"x": "2"}\n{"x": "-"}\n'), "json-lines")["x"]).kind == "number"


def test_a_table_stored_before_there_were_marks_is_read_as_it_was() -> None:
    assert the_facts(pl.Series(["1", "2", "-"], dtype=pl.String)).kind == "number"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["2020-03-14", "-", "2020-03-15"], "date"),
        (["13:31", "-", "1:31 PM"], "time"),
        (["true", "false"], "boolean"),
        (["3A", "4", "-"], "category"),
    ],
)
@typed_files
def test_other_texts_are_what_they_say(
    write: Write, form: Form, content_of: Callable[[Texts], bytes], texts: Texts, kind: str
) -> None:
    assert the_facts(read(write(content_of(texts)), form)["x"]).kind == kind


def test_one_text_among_digits_is_asked_about_with_the_way_to_numbers(write: Write) -> None:
    frame = read(write(_parquet([*map(str, range(40)), "n.d."])), "parquet")
    assert the_facts(frame["x"]).ambiguity == (
        'x: 40 of 41 values are numbers, and "n.d." in data row 41 is none; say that it means nothing (data.missing: '
        '["n.d."], --missing-value) and that the others are numbers (data.columns: {x: number}, --column x=number), '
        "or say what the column is (data.columns: {x: category}, or drop; --column x=category)"
    )
