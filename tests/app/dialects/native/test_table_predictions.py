"""/predict of patterns that were trained on tables: columns of every kind, missing values, labels, probabilities."""

import csv
import datetime
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.dialects.native import bodies
from app.formats import arrow_stream, csv_rows
from app.formats.expected import Expected, ExpectedColumn
from models_store.errors import PatternServerError
from models_store.storage.store import Store
from models_store.tables import inference, typed_files
from models_store.tables.arrow_files import Batches
from models_store.tables.table import LONGEST_CATEGORY, Table, from_json
from tests.app.over_http import (
    ARROW,
    CSV,
    JSON,
    NPY,
    arrow_of,
    from_arrow,
    from_npy,
    message,
    npy_of,
    post,
    refusal,
    reply_of,
    serving,
)
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork
from tests.table_fakes import PASSENGERS, flowers, messages, passengers, rents, table_of

pytestmark = pytest.mark.anyio

Row = list[Any]
Answer = dict[str, Any]
NAMES = tuple(PASSENGERS)
ROWS: list[Row] = [
    [22, "S", False, "1912-04-10", "first class"],
    [None, "C", True, "1912-04-11", "a cabin, third class"],
    [38.5, None, True, "1912-04-10T18:30", ""],
    [None, None, False, "2024-02-29", 'unheard of: "zzz"'],
]
BUNDLE = passengers()
EXPECTED = Expected.of(BUNDLE.predictor.encoder)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    store = Store(tmp_path_factory.mktemp("tables") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    bundles = (
        passengers(),
        messages(),
        rents(),
        flowers(),
        flowers("counts", ("3", "4", "5"), "number"),
        flowers("halves", ("0.5", "0.1"), "number"),
        flowers("truths", ("false", "true"), "boolean"),
    )
    for bundle in bundles:
        store.publish(bundle)
    async with serving(store, max_rows=1000, log_level="warning") as client:
        yield client


def likely(rows: list[Row]) -> list[dict[str, float]]:
    """The probabilities that the bundle itself gives."""
    answers = BUNDLE.predict(table_of(BUNDLE.kinds, rows)).tolist()
    return [dict(zip(("no", "yes"), row, strict=True)) for row in answers]


def labels(rows: list[Row]) -> list[str]:
    return [max(row, key=lambda label: row[label]) for row in likely(rows)]


async def asked(client: httpx.AsyncClient, inputs: Any, pattern: str = "passengers", **query: Any) -> Answer:
    answer = await client.post(f"/predict/{pattern}", json={"inputs": inputs}, params=query)
    assert answer.status_code == 200, answer.text
    said: Answer = answer.json()
    return said


# -- layouts -------------------------------------------------------------------------------------------------------


async def test_rows_are_answered_with_labels_in_rows(client: httpx.AsyncClient) -> None:
    outputs = [[label] for label in labels(ROWS)]
    assert await asked(client, ROWS) == {"pattern": "passengers", "version": 1, "outputs": outputs}


async def test_every_layout_gives_the_same_labels_in_its_own_layout(client: httpx.AsyncClient) -> None:
    expected = labels(ROWS)
    records = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    columns = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
    assert (await asked(client, records))["outputs"] == [{"survived": label} for label in expected]
    assert (await asked(client, columns))["outputs"] == {"survived": expected}
    for record, label in zip(records, expected, strict=True):
        assert (await asked(client, record))["outputs"] == {"survived": label}


async def test_probabilities_have_the_layout_of_the_question(client: httpx.AsyncClient) -> None:
    expected = likely(ROWS)
    records = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    columns = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))

    async def said(inputs: Any) -> Any:
        return (await asked(client, inputs, probabilities=True))["probabilities"]

    assert await said(ROWS) == [[row] for row in expected]
    assert await said(records) == [{"survived": row} for row in expected]
    assert await said(columns) == {"survived": expected}
    assert await said(records[2]) == {"survived": expected[2]}


async def test_one_column_may_be_flat(client: httpx.AsyncClient) -> None:
    said = await asked(client, ["win money, win a prize", "tea"], "messages", probabilities=True)
    assert [type(label) for label in said["outputs"]] == [bool, bool]
    assert [likely.keys() for likely in said["probabilities"]] == [{"false", "true"}] * 2
    assert said["outputs"] == [likely["true"] > 0.5 for likely in said["probabilities"]]


@pytest.mark.parametrize(
    ("pattern", "known"),
    [
        ("flowers", ["setosa", "versicolor", "virginica"]),
        ("counts", [3, 4, 5]),
        ("halves", [0.1, 0.5]),
        ("truths", [False, True]),
    ],
)
async def test_a_label_is_answered_as_it_stood_in_the_data(
    client: httpx.AsyncClient, pattern: str, known: list[Any]
) -> None:
    said = await asked(client, {"length": [1.5, 4.5, 9.0, -3.0], "width": [0.25, None, 2.0, 30.0]}, pattern)
    assert {type(label) for label in said["outputs"]["species"]} == {type(known[0])}
    assert set(said["outputs"]["species"]) <= set(known)


async def test_probabilities_of_three_labels_sum_to_one(client: httpx.AsyncClient) -> None:
    said = await asked(client, {"length": 1.5, "width": 0.25}, "flowers", probabilities=True)
    by_label = said["probabilities"]["species"]
    assert list(by_label) == ["setosa", "versicolor", "virginica"]
    assert sum(by_label.values()) == pytest.approx(1, abs=1e-12)
    assert max(by_label, key=lambda label: by_label[label]) == said["outputs"]["species"]


async def test_a_table_may_answer_with_numbers(client: httpx.AsyncClient) -> None:
    said = await asked(client, [[1, "north"], [2, "south"]], "rents")
    bundle = rents()
    assert said["outputs"] == bundle.predict(table_of(bundle.kinds, [[1, "north"], [2, "south"]])).tolist()
    answer = await client.post("/predict/rents", json={"inputs": [[1, "north"]]}, params={"probabilities": True})
    assert refusal(answer) == (422, "not_a_classification")


@settings(max_examples=12)
@given(st.permutations(NAMES))
async def test_permuted_columns_of_a_question_change_no_answer(client: httpx.AsyncClient, order: list[str]) -> None:
    columns = {name: [row[NAMES.index(name)] for row in ROWS] for name in order}
    records = [{name: row[NAMES.index(name)] for name in order} for row in ROWS]
    expected = await asked(client, ROWS, probabilities=True)
    assert (await asked(client, columns, probabilities=True))["probabilities"]["survived"] == [
        row[0] for row in expected["probabilities"]
    ]
    assert [record["survived"] for record in (await asked(client, records))["outputs"]] == labels(ROWS)
    assert (await post(client, as_csv(order), CSV, "passengers")).text == (
        await post(client, as_csv(NAMES), CSV, "passengers")
    ).text


# -- missing values, unseen categories -----------------------------------------------------------------------------


async def test_what_a_record_leaves_out_is_missing(client: httpx.AsyncClient) -> None:
    whole = {"age": None, "port": None, "crew": True, "boarded": "1912-04-10", "note": "cabin"}
    lacking = {"crew": True, "boarded": "1912-04-10", "note": "cabin"}
    expected = await asked(client, whole, probabilities=True)
    assert await asked(client, lacking, probabilities=True) == expected
    assert (await asked(client, [whole, lacking], probabilities=True))["probabilities"] == [
        expected["probabilities"]
    ] * 2


async def test_an_unseen_category_is_answered_and_said_without_being_asked_for(client: httpx.AsyncClient) -> None:
    rows = [[22, "Atlantis", *ROWS[0][2:]], ROWS[0], [1000, "S", *ROWS[0][2:]]]
    said = await asked(client, rows)
    assert said["outputs"] == [[label] for label in labels(rows)]
    assert said["outside"] == [{"row": 0, "columns": ["port"]}]
    said = await asked(client, rows, outside=True)
    assert said["outside"] == [{"row": 0, "columns": ["port"]}, {"row": 2, "columns": ["age"]}]


async def test_an_unseen_category_in_csv_is_said_in_the_headers(client: httpx.AsyncClient) -> None:
    body = b"age,port,crew,boarded,note\n22,Atlantis,true,1912-04-10,cabin\n22,S,true,1912-04-10,cabin\n"
    answer = await post(client, body, CSV, "passengers")
    assert answer.status_code == 200
    assert answer.headers["x-pattern-outside"] == '[{"row":0,"columns":["port"]}]'


async def test_nothing_is_said_of_known_categories_unless_asked(client: httpx.AsyncClient) -> None:
    assert "outside" not in await asked(client, ROWS)
    assert (await asked(client, ROWS[:2], outside=True))["outside"] == []
    late = (await asked(client, ROWS, outside=True))["outside"]
    assert late == [{"row": 2, "columns": ["note"]}, {"row": 3, "columns": ["boarded", "note"]}]


async def test_half_a_character_is_an_unseen_category(client: httpx.AsyncClient) -> None:
    body = b'{"inputs": [[22, "\\ud800", false, "1912-04-10", "\\udfff cabin"]]}'
    answer = await post(client, body, JSON, "passengers")
    assert (answer.status_code, answer.json()["outside"]) == (200, [{"row": 0, "columns": ["port"]}])


async def test_spellings_of_one_category_are_one(client: httpx.AsyncClient) -> None:
    one = await asked(client, [[22, " S ", *ROWS[0][2:]]], probabilities=True)
    assert one == await asked(client, ROWS[:1], probabilities=True)


# -- refusals ------------------------------------------------------------------------------------------------------


def changed(column: str, value: str) -> str:
    """A body of two records, with `value` as it stands in one column of the second."""
    record = {name: json.dumps(cell) for name, cell in zip(NAMES, ROWS[0], strict=True)}
    return f'{{"inputs": [{_json_of(record)}, {_json_of(record | {column: value})}]}}'


def _json_of(written: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {cell}' for name, cell in written.items()) + "}"


DATE = "a date such as 2024-05-31 or 2024-05-31T18:00"
NONE_MISSING = "found no value; training saw none missing"
WRONG: list[tuple[str, str, str, str]] = [
    # the column, what stands in it, code, and what is said
    ("crew", "null", "missing_value", f"expected true or false, {NONE_MISSING}"),
    ("boarded", "null", "missing_value", f"expected {DATE}, {NONE_MISSING}"),
    ("note", "null", "missing_value", f"expected a text, {NONE_MISSING}"),
    ("age", '"sesame"', "not_a_number", "expected a number, found text"),
    ("age", '"22"', "not_a_number", "expected a number, found text"),
    ("age", "true", "not_a_number", "expected a number, found a boolean"),
    ("age", "[22]", "not_a_number", "expected a number, found a list of 1"),
    ("age", "{}", "not_a_number", "expected a number, found an object"),
    ("age", "1e400", "not_a_number", "expected a finite number"),
    ("age", "9" * 400, "not_a_number", "expected a number that a float64 can hold"),
    ("port", "[]", "bad_value", "expected a text, a number or a boolean, found a list of 0"),
    ("port", '{"sesame": 1}', "bad_value", "expected a text, a number or a boolean, found an object"),
    ("port", "1e400", "bad_value", "expected a finite number"),
    ("port", json.dumps("sesame" * 40), "bad_value", f"expected a category of at most {LONGEST_CATEGORY} characters"),
    ("crew", "1", "bad_value", "expected true or false, found a number"),
    ("crew", '"maybe"', "bad_value", "expected true or false, found other text"),
    ("crew", '"sesame"', "bad_value", "expected true or false, found other text"),
    ("boarded", "0", "bad_value", f"expected {DATE}, found a number"),
    ("boarded", "true", "bad_value", f"expected {DATE}, found a boolean"),
    ("boarded", '"sesame"', "bad_value", f"expected {DATE}, found other text"),
    ("boarded", '"2024-02-30"', "bad_value", f"expected {DATE}, found other text"),
    ("boarded", '"2024-01-01T25:00"', "bad_value", f"expected {DATE}, found other text"),
    ("boarded", '"0000-01-01"', "bad_value", f"expected {DATE}, found other text"),
    ("boarded", '"10.04.1912"', "bad_value", f"expected {DATE}, found other text"),
    ("boarded", '""', "bad_value", f"expected {DATE}, found empty text"),
    ("note", "1", "bad_value", "expected a text, found a number"),
    ("note", "false", "bad_value", "expected a text, found a boolean"),
    ("note", '["sesame"]', "bad_value", "expected a text, found a list of 1"),
]


@pytest.mark.parametrize(("column", "value", "code", "said"), WRONG)
async def test_a_value_of_another_kind_is_refused_by_row_and_column(
    client: httpx.AsyncClient, column: str, value: str, code: str, said: str
) -> None:
    answer = await post(client, changed(column, value).encode(), JSON, "passengers")
    assert refusal(answer) == (422, code)
    assert message(answer) == f"row 1, column {column}: {said}"


REFUSED: list[tuple[str, str, Any, str, int, str]] = [
    # pattern, content type, body, code, and part of what is said
    ("passengers", JSON, '{"inputs": [[22, "S", false, "1912-04-10"]]}', "bad_row", 422, "row 0: expected a list of 5"),
    ("passengers", JSON, '{"inputs": [{"age": 22}]}', "missing_column", 422, "row 0: columns crew, boarded"),
    ("passengers", JSON, '{"inputs": {}}', "missing_column", 422, "columns crew, boarded, note are missing"),
    ("passengers", JSON, changed("other", "1"), "unknown_column", 422, "row 1: column other is not among age"),
    ("passengers", JSON, '{"inputs": {"age": [1], "boarded": ["1912-04-10"]}}', "missing_column", 422,
     "columns crew, note are missing"),
    ("passengers", JSON, '{"inputs": {"crew": true, "boarded": [1], "note": ""}}', "bad_layout", 422,
     "columns must all be lists of the same length, or all be single values; column crew is "),
    ("messages", JSON, '{"inputs": [null]}', "missing_value", 422,
     f"row 0, column message: expected a text, {NONE_MISSING}"),
    ("messages", JSON, '{"inputs": ["tea", ["sesame"]]}', "bad_value", 422,
     "row 1, column message: expected a text, found a list of 1"),
    ("messages", JSON, '{"inputs": []}', "no_rows", 422, "there are no rows"),
    ("passengers", CSV, "age,port,crew,boarded,note\n1,S,maybe,1912-04-10,x\n", "bad_value", 422,
     "line 2, column crew: expected true or false, found other text"),
    ("passengers", CSV, "age,port,crew,boarded,note\n1,S,no,1912-04-10,x\n1,S,,1912-04-10,x\n", "missing_value", 422,
     f"line 3, column crew: expected true or false, {NONE_MISSING}"),
    ("passengers", CSV, "age,port,crew,boarded,note\n1,S,no,1912-04-10,NA\n", "missing_value", 422,
     f"line 2, column note: expected a text, {NONE_MISSING}"),
    ("passengers", CSV, 'note,age,port,crew,boarded\n"a\nb",1,S,no,1912-04-10\nb,sesame,S,no,1912-04-10\n',
     "not_a_number", 422, "line 4, column age: expected a number, found text"),
    ("passengers", CSV, "age,port,crew,boarded,note\n1,S,no,1912-04-31,x\n", "bad_value", 422,
     f"line 2, column boarded: expected {DATE}, found other text"),
    ("passengers", CSV, "age,port,crew,boarded\n1,S,no,1912-04-10\n", "missing_column", 422,
     "line 1: column note is missing"),
    ("passengers", NPY, npy_of(np.zeros((1, 5))), "bad_type", 422,
     "an array holds numbers alone, and column port is a category; send named fields, or another format"),
    ("flowers", NPY, npy_of(np.array([[1.0, 2.0], [np.nan, 1.0]])), "missing_value", 422,
     f"row 1, column length: expected a number, {NONE_MISSING}"),
    ("flowers", NPY, npy_of(np.array([[1.0, np.inf]])), "not_a_number", 422,
     "row 0, column width: expected a finite number"),
    ("flowers", ARROW, arrow_of(pa.table({"length": ["sesame"], "width": [1.0]})), "bad_type", 422,
     "column length: expected a column of integers, floats or decimals, found string"),
    ("flowers", ARROW, arrow_of(pa.table({"length": [1.0, None], "width": [1.0, 1.0]}), 1), "missing_value", 422,
     f"row 1, column length: expected a number, {NONE_MISSING}"),
    ("flowers", ARROW, arrow_of(pa.table({"length": [1.0, 2.0], "width": [1.0, float("inf")]})), "not_a_number", 422,
     "row 1, column width: expected a finite number"),
    ("messages", ARROW, arrow_of(pa.table({"message": pa.array([b"tea", b"sesame\xff"])})), "bad_value", 422,
     "column message: expected texts, found bytes that are not UTF-8"),
    ("messages", ARROW, arrow_of(pa.table({"message": pa.array([1]).dictionary_encode()})), "bad_type", 422,
     "column message: expected a column of strings, found int64"),
    ("messages", ARROW, arrow_of(pa.table({"message": ["a", "sesame"]})).replace(b"sesame", b"sesa\xff\xff"),
     "malformed", 400, "the body is not an Arrow IPC stream"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "content_type", "body", "code", "status", "said"), REFUSED)
async def test_a_body_that_is_no_row_of_the_table_is_refused(
    client: httpx.AsyncClient, pattern: str, content_type: str, body: Any, code: str, status: int, said: str
) -> None:
    content = body.encode() if isinstance(body, str) else body
    answer = await post(client, content, content_type, pattern)
    assert refusal(answer) == (status, code)
    assert message(answer).startswith(said)


ARROW_KINDS: list[tuple[str, Any]] = [
    ("crew", pa.array([1])),
    ("crew", pa.array(["true"])),
    ("boarded", pa.array([0])),
    ("boarded", pa.array([0], pa.time32("s"))),
    ("boarded", pa.array([10**15], pa.timestamp("s"))),
    ("boarded", pa.array([-(2**31)], pa.date32())),
    ("note", pa.array([1])),
    ("note", pa.array([b"sesame\xff"])),
    ("port", pa.array([b"sesame\0"])),
    ("port", pa.array([["sesame"]])),
    ("port", pa.array([0], pa.date32())),
    ("port", pa.array([float("inf")])),
    ("age", pa.array([True])),
]


@pytest.mark.parametrize(("name", "column"), ARROW_KINDS)
async def test_an_arrow_column_of_another_kind_is_refused_by_its_name(
    client: httpx.AsyncClient, name: str, column: Any
) -> None:
    table = in_arrow(ROWS[:1])
    answer = await post(client, arrow_of(table.set_column(NAMES.index(name), name, column)), ARROW, "passengers")
    assert refusal(answer)[0] == 422
    assert f"column {name}: expected " in message(answer)


# -- CSV, Arrow, npy -----------------------------------------------------------------------------------------------


def as_csv(order: tuple[str, ...] | list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(order)
    for row in ROWS[:2]:
        writer.writerow([row[NAMES.index(name)] for name in order])
    return text.getvalue().encode()


async def test_csv_in_csv_out_row_by_row(client: httpx.AsyncClient) -> None:
    body = "note,crew,port,age,boarded\n" + "".join(
        [
            "first class,False,S,22,1912-04-10\n",
            '"a cabin, third class",TRUE,C,,1912-04-11\n',
            '"two\nlines",yes,NA, NaN ,1912-04-10T18:30\n',
            "x,no,S,3.80e1,1912-04-10 18:30:00\n",
        ]
    )
    rows: list[Row] = [
        *ROWS[:2],
        [None, None, True, "1912-04-10T18:30", "two lines"],
        [38, "S", False, "1912-04-10T18:30", "x"],
    ]
    answer = await post(client, body.encode(), CSV, "passengers")
    assert answer.text == "survived\n" + "".join(f"{label}\n" for label in labels(rows))
    answer = await client.post(
        "/predict/passengers", params={"probabilities": True}, content=body, headers={"content-type": CSV}
    )
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert header == ["survived", "survived=no", "survived=yes"]
    assert [line[0] for line in lines] == labels(rows)
    assert [[float(p) for p in line[1:]] for line in lines] == [list(row.values()) for row in likely(rows)]


@pytest.mark.parametrize(
    ("pattern", "said"), [("truths", {"true", "false"}), ("counts", {"3", "4", "5"}), ("halves", {"0.1", "0.5"})]
)
async def test_labels_in_csv_are_written_as_the_data_had_them(
    client: httpx.AsyncClient, pattern: str, said: set[str]
) -> None:
    header, *lines = (await post(client, b"width,length\n1,2\n,3\n", CSV, pattern)).text.splitlines()
    assert header == "species"
    assert len(lines) == 2
    assert set(lines) <= said


def test_whatever_a_label_holds_a_row_of_csv_holds_it() -> None:
    said = ["lone\rreturn", "line\nfeed", "both\r\n", 'a "quote"', "a, b", "plain"]
    reply = reply_of({"x\ry": np.array(said, dtype=object)}, are_labels=True)
    _, write = csv_rows.read(b"x\n1\n", Expected(("x",)), 10)
    written = write(reply).decode()
    assert written.endswith('"a, b"\nplain\n')
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True)) == [["x\ry"], *([label] for label in said)]


async def test_a_long_text_is_answered_in_csv_as_in_json(client: httpx.AsyncClient) -> None:
    text = "win money " * 20_000
    answer = await post(client, f'message\n"{text}"\n'.encode(), CSV, "messages")
    (said,) = (await asked(client, [text], "messages"))["outputs"]
    assert answer.text == f"spam\n{str(said).lower()}\n"


def in_arrow(rows: list[Row]) -> Any:
    age, port, crew, boarded, note = zip(*rows, strict=True)
    moments = [datetime.datetime.fromisoformat(moment) for moment in boarded]
    return pa.table(
        {
            "note": pa.array(note, pa.large_string()),
            "boarded": pa.array(moments, pa.timestamp("us")),
            "crew": pa.array(crew),
            "port": pa.array(port),
            "age": pa.array(age, pa.float32()),
        }
    ).select(NAMES)


@pytest.mark.parametrize("rows_a_batch", [1, 3, 10])
async def test_arrow_in_arrow_out(client: httpx.AsyncClient, rows_a_batch: int) -> None:
    answer = await client.post(
        "/predict/passengers",
        params={"probabilities": True},
        content=arrow_of(in_arrow(ROWS), rows_a_batch),
        headers={"content-type": ARROW},
    )
    said = from_arrow(answer.content)
    assert said == {
        "survived": labels(ROWS),
        "survived=no": [row["no"] for row in likely(ROWS)],
        "survived=yes": [row["yes"] for row in likely(ROWS)],
    }


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")), pa.string()], ids=str
)
async def test_dates_come_in_every_unit(client: httpx.AsyncClient, kind: Any) -> None:
    day: Any = "1912-04-11" if kind == pa.string() else datetime.datetime(1912, 4, 11)
    table = in_arrow(ROWS[:1]).set_column(3, "boarded", pa.array([day], kind))
    answer = await post(client, arrow_of(table), ARROW, "passengers")
    assert from_arrow(answer.content) == {"survived": labels([[22, "S", False, "1912-04-11", "first class"]])}


async def test_a_category_may_come_as_numbers(client: httpx.AsyncClient) -> None:
    for column in (pa.array([3]), pa.array([3.0]), pa.array(["3"])):
        table = in_arrow(ROWS[:1]).set_column(1, "port", column)
        answer = await post(client, arrow_of(table), ARROW, "passengers")
        assert from_arrow(answer.content) == {"survived": labels([[22, 3, *ROWS[0][2:]]])}


def in_a_file(column: Any) -> pl.DataFrame:
    """Return the column as a file to train on would have it."""
    batch = pa.record_batch([column], names=["x"])
    return typed_files._from_arrow(Batches(batch.schema, iter([batch])))


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64(), pa.string()], ids=str)
def test_a_category_of_narrow_floats_is_spelled_as_in_json_and_csv(kind: Any) -> None:
    expected = Expected(("x",), (ExpectedColumn("x", "category", takes_missing=True),))
    given = pa.array([0.1, None, 3.0]).cast(kind)
    rows, _ = arrow_stream.read(arrow_of(pa.table({"x": given})), expected, 10)
    assert isinstance(rows, Table)
    assert rows.columns["x"].tolist() == ["0.1", None, "3"]
    in_training = inference.table_of(in_a_file(given), {"x": "category"})
    assert in_training.columns["x"].tolist() == ["0.1", None, "3"]


@given(st.lists(st.datetimes(), min_size=1, max_size=5), st.sampled_from(["us", "ns"]))
def test_a_moment_in_arrow_is_the_same_to_the_last_bit_as_in_json(moments: list[datetime.datetime], unit: str) -> None:
    moments = [moment for moment in moments if unit == "us" or 1700 < moment.year < 2250]
    assume(moments)
    expected = Expected(("x",), (ExpectedColumn("x", "date", takes_missing=False),))
    rows, _ = arrow_stream.read(arrow_of(pa.table({"x": pa.array(moments, pa.timestamp(unit))})), expected, 10)
    assert isinstance(rows, Table)
    assert rows.columns["x"].tolist() == [from_json("date", moment.isoformat()) for moment in moments]
    frame = in_a_file(pa.array(moments, pa.timestamp(unit)))
    assert inference.table_of(frame, {"x": "date"}).columns["x"].tolist() == rows.columns["x"].tolist()


async def test_a_zone_that_nobody_knows_is_called_that(client: httpx.AsyncClient) -> None:
    for zone, status in (("+05:30", 200), ("Europe/Atlantis", 422)):
        table = in_arrow(ROWS[:1]).set_column(3, "boarded", pa.array([0], pa.timestamp("s", zone)))
        answer = await post(client, arrow_of(table), ARROW, "passengers")
        assert answer.status_code == status
    assert message(answer) == "column boarded: its time zone is not known here"


@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "+05:30"])
async def test_moments_too_far_away_are_refused(client: httpx.AsyncClient, zone: str | None) -> None:
    for count in (2**62, -(2**62)):
        moments = pa.array([count], pa.int64()).view(pa.timestamp("s", zone))
        table = in_arrow(ROWS[:1]).set_column(3, "boarded", moments)
        assert refusal(await post(client, arrow_of(table), ARROW, "passengers")) == (422, "bad_value")


@pytest.mark.parametrize(
    ("pattern", "type_", "dtype"),
    [("counts", "int64", "<i8"), ("halves", "double", "<f8"), ("truths", "bool", "|b1"), ("flowers", "string", "<U10")],
)
async def test_labels_have_the_type_of_the_data_in_arrow_and_npy(
    client: httpx.AsyncClient, pattern: str, type_: str, dtype: str
) -> None:
    rows = [[1.5, 0.25], [4.5, 1.5], [9.0, 1.0]]
    expected = (await asked(client, rows, pattern))["outputs"]
    table = pa.table(dict(zip(("length", "width"), zip(*rows, strict=True), strict=True)))
    answered = pa.ipc.open_stream((await post(client, arrow_of(table), ARROW, pattern)).content).read_all()
    assert str(answered.schema.field("species").type) == type_
    assert [[label] for label in answered["species"].to_pylist()] == expected
    array = from_npy((await post(client, npy_of(np.array(rows, np.float32)), NPY, pattern)).content)
    assert (array.dtype, array.tolist()) == (np.dtype(dtype), expected)


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
async def test_npy_with_probabilities_is_an_array_of_them(client: httpx.AsyncClient, dtype: str) -> None:
    rows = [[1.5, 0.25], [4.5, None]]
    expected = [
        list(row[0].values()) for row in (await asked(client, rows, "flowers", probabilities=True))["probabilities"]
    ]
    answer = await client.post(
        "/predict/flowers",
        params={"probabilities": True},
        content=npy_of(np.array(rows, dtype)),  # None becomes NaN
        headers={"content-type": NPY},
    )
    array = from_npy(answer.content)
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_allclose(array, expected, rtol=1e-6)


# -- size ----------------------------------------------------------------------------------------------------------


async def test_commas_brackets_and_line_ends_in_texts_are_not_rows(client: httpx.AsyncClient) -> None:
    texts = ['a, "b" [c] {d}\n, \\' * 500] * 20
    assert len((await asked(client, texts, "messages"))["outputs"]) == 20
    body = io.StringIO()
    csv.writer(body).writerows([["message"], *([text] for text in texts)])
    answer = await post(client, body.getvalue().encode(), CSV, "messages")
    assert len(answer.text.splitlines()) == 21


async def test_many_rows_are_answered_as_few_are(client: httpx.AsyncClient) -> None:
    rows = [ROWS[place % len(ROWS)] for place in range(1000)]
    many = (await asked(client, rows, probabilities=True))["probabilities"]
    few = (await asked(client, ROWS, probabilities=True))["probabilities"]
    np.testing.assert_allclose(
        [list(row[0].values()) for row in many], [list(few[place % 4][0].values()) for place in range(1000)], rtol=1e-6
    )


# -- any bytes -----------------------------------------------------------------------------------------------------

cells: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(-1e9, 1e300), st.text(max_size=8), st.just([])
)


@given(st.lists(st.lists(cells, min_size=5, max_size=5), min_size=1, max_size=3))
def test_whatever_the_cells_they_are_a_table_or_refused(rows: list[Row]) -> None:
    try:
        question = bodies.read(json.dumps({"inputs": rows}).encode(), JSON, EXPECTED, 1000)
    except PatternServerError as error:
        assert "column" in str(error)
        return
    assert isinstance(question.rows, Table)
    assert np.isfinite(BUNDLE.predictor.encoder.encode(question.rows)).all()


def test_no_changed_byte_of_an_arrow_stream_gives_anything_but_a_table_or_a_refusal() -> None:
    body = arrow_of(in_arrow(ROWS), 3)
    rng = np.random.default_rng(0)
    for _ in range(3000):
        changed = bytearray(body)
        for place in rng.integers(0, len(changed), rng.integers(1, 5)):
            changed[place] = rng.choice([0, 1, 2, 4, 127, 128, 255, int(rng.integers(256))])
        try:
            raw, _ = arrow_stream.read(bytes(changed), EXPECTED, 1000)
        except PatternServerError as error:
            assert len(str(error)) < 200
        else:
            BUNDLE.predictor.answers(raw)


async def test_an_answer_of_very_many_probabilities_is_refused_before_it_is_computed(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dialects.native.predict.MOST_LABELS_ANSWERED", len(ROWS) - 1)
    answer = await client.post("/predict/passengers?probabilities=true", json={"inputs": ROWS})
    assert refusal(answer) == (413, "answer_too_large")
    assert (await client.post("/predict/passengers", json={"inputs": ROWS})).status_code == 200
