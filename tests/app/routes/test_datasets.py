"""Uploading tables over HTTP: what comes back, what is refused, and that nobody else waits for it."""

import asyncio
import gzip
import io
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from app.parts import parts_of
from app.routes.datasets import FORMS
from models_store.storage.datasets import Datasets, Stored
from models_store.storage.store import Store
from tests.app.over_http import ARROW, CSV, JSON, SESAME, an_app, client_of, message, refusal, serving
from tests.app.test_imports import imported
from tests.models_store.tables.workbook_files import number, text, xlsx

pytestmark = pytest.mark.anyio

NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
TABLE = b"size,colour,note\n1,red,\n2,blue,x\n3,red,y\n"
PLAINLY = {"dropped": None, "doubt": None, "labels": True, "order": None, "format": None, "note": None}
COLUMNS = [
    {"name": "size", "kind": "number", "missing": 0, "distinct": 3, "examples": [1, 2, 3], **PLAINLY, "labels": False},
    {"name": "colour", "kind": "category", "missing": 0, "distinct": 2, "examples": ["red", "blue"], **PLAINLY},
    {"name": "note", "kind": "category", "missing": 1, "distinct": 2, "examples": ["x", "y"], **PLAINLY},
]
KEY = {"authorization": "Bearer sesame-admin"}


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(store, max_body_mb=1, max_dataset_mb=2) as client:
        yield client


async def upload(
    client: httpx.AsyncClient, body: bytes = TABLE, content_type: str = CSV, **query: str
) -> httpx.Response:
    return await client.post("/datasets", content=body, headers={"content-type": content_type}, params=query)


def in_format(content_type: str) -> bytes:
    frame, target = pl.read_csv(TABLE), io.BytesIO()
    match content_type:
        case "text/csv":
            return TABLE
        case "application/vnd.apache.parquet":
            frame.write_parquet(target)
        case _:
            frame.write_ipc_stream(target)
    return target.getvalue()


# -- what is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [CSV, "text/csv; charset=utf-8", PARQUET, ARROW])
async def test_a_table_is_kept_and_described(client: httpx.AsyncClient, store: Store, content_type: str) -> None:
    answer = await upload(client, in_format(content_type.partition(";")[0]), content_type, name="shirts")
    stored = answer.json()
    assert answer.status_code == 201
    told = {key: stored[key] for key in ("id", "created")}
    assert stored == {**told, "name": "shirts", "rows": 3, "columns": COLUMNS, "delimiter": ",", "remarks": []}
    assert answer.headers["location"] == f"/datasets/{stored['id']}"
    assert (await client.get(answer.headers["location"])).json() == stored
    assert Datasets(store.root).frame(stored["id"])["colour"].to_list() == ["red", "blue", "red"]
    assert [path.name for path in store.root.glob(".*")].count(".datasets") == 1


async def test_the_same_table_again_answers_the_same(client: httpx.AsyncClient) -> None:
    first = await upload(client, name="shirts")
    again = await upload(client, name="others")
    assert (again.status_code, again.json()) == (201, first.json())


async def test_a_table_may_be_written_in_another_way(client: httpx.AsyncClient, store: Store) -> None:
    body = "größe;price\n1;7,86\n2;0,5\n".encode("latin-1")
    stored = (await upload(client, body, delimiter=";", decimal=",", encoding="latin-1")).json()
    assert (stored["delimiter"], [column["kind"] for column in stored["columns"]]) == (";", ["number", "number"])
    assert Datasets(store.root).frame(stored["id"]).to_dict(as_series=False) == {"größe": [1, 2], "price": [7.86, 0.5]}
    # Read in another way, the same file is another table.
    other = (await upload(client, body, encoding="latin-1")).json()
    assert (other["delimiter"], other["id"] != stored["id"]) == (";", True)
    assert refusal(await upload(client, body, encoding="rot13")) == (422, "bad_table")


async def test_a_column_in_doubt_is_said_at_once_and_not_trained_on(client: httpx.AsyncClient) -> None:
    rows = "".join(f"{n},{n % 7}\n" for n in range(50))
    stored = (await upload(client, f"weight,y\n{rows}12 kg,3\n".encode())).json()
    assert stored["columns"][0]["doubt"].startswith('weight: 50 of 51 values are numbers, and "12 kg" in data row 51')
    recipe = {"name": "boxes", "data": {"kind": "table", "dataset": stored["id"], "target": "y"}}
    answer = await client.post("/train", json={"spec": recipe})
    assert refusal(answer) == (422, "bad_recipe")
    assert "data.columns: {weight: category}" in message(answer)


async def test_no_formula_is_to_answer_rows_outside_where_the_target_is_labels(client: httpx.AsyncClient) -> None:
    stored = (
        await upload(client, b"size,kind\n" + b"".join(b"%d,%s\n" % (n, b"ab"[n % 2 :][:1]) for n in range(20)))
    ).json()
    recipe = {"name": "boxes", "data": {"kind": "table", "dataset": stored["id"], "target": "kind"}}
    answer = await client.post("/train", json={"spec": {**recipe, "outside": "formula"}})
    assert refusal(answer) == (422, "bad_recipe")
    assert message(answer) == "outside: the target is labels, which no formula answers: use warn, clip or reject"


async def test_tables_are_listed_without_their_columns(client: httpx.AsyncClient) -> None:
    assert (await client.get("/datasets")).json() == {"datasets": []}
    stored = (await upload(client, name="shirts")).json()
    facts = {key: stored[key] for key in ("id", "name", "rows", "created", "delimiter")}
    assert (await client.get("/datasets")).json() == {"datasets": [{**facts, "n_columns": 3}]}


async def test_a_table_can_be_deleted(client: httpx.AsyncClient) -> None:
    address = (await upload(client)).headers["location"]
    deleted = await client.delete(address)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert refusal(await client.get(address)) == (404, "unknown_dataset")
    assert refusal(await client.delete(address)) == (404, "unknown_dataset")


async def test_a_table_may_be_larger_than_other_bodies(client: httpx.AsyncClient) -> None:
    rows = b"x,y\n" + b"1.5,2.5\n3.5,4.5\n" * 90_000
    assert 1 << 20 < len(rows) < 2 << 20
    assert (await upload(client, rows)).json()["rows"] == 180_000
    assert refusal(await client.post("/predict/line", content=rows)) == (413, "body_too_large")


SHIRTS = ((1, "red"), (2, "blue"), (3, "red"))
SHEET = [[text("size"), text("colour")], *([number(size), text(colour)] for size, colour in SHIRTS)]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ARFF = b"@relation x\n@attribute size integer\n@attribute colour {red,blue}\n@data\n1,red\n2,blue\n3,red\n"
HEADLESS = b"1,red\n2,blue\n3,red\n"


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        (b"sep=;\nsize;colour\n1;red\n2;blue\n3;red\n", CSV, {}),
        (b"# shirts\nsize,colour\n1,red\n2,blue\n3,red\n", CSV, {}),
        (b"size,colour\n% one\n1,red\n2,blue\n3,red\n", CSV, {"comment": "%"}),
        (b"size  colour\n1  red\n2  blue\n3  red\n", CSV, {"delimiter": "space"}),
        (gzip.compress(b"size,colour\n1,red\n2,blue\n3,red\n"), CSV, {}),
        (gzip.compress(b"size,colour\n1,red\n2,blue\n3,red\n"), "application/gzip", {}),
        (xlsx({"Shirts": SHEET}), XLSX, {}),
        (xlsx({"Other": [[text("a")], [number(1)]], "Shirts": SHEET}), XLSX, {"sheet": "Shirts"}),
        (ARFF, "text/x-arff", {}),
        (b'{"size": 1, "colour": "red"}\n{"size": 2, "colour": "blue"}\n{"size": 3, "colour": "red"}\n', NDJSON, {}),
    ],
)
async def test_the_same_table_is_read_from_other_files(
    client: httpx.AsyncClient, body: bytes, content_type: str, query: dict[str, str]
) -> None:
    answer = await upload(client, body, content_type, **query)
    assert answer.json()["columns"] == COLUMNS[:2]


async def test_a_table_without_names_is_asked_about_and_read_when_that_is_said(client: httpx.AsyncClient) -> None:
    assert "?header=absent" in message(await upload(client, HEADLESS))
    names = [column["name"] for column in (await upload(client, HEADLESS, header="absent")).json()["columns"]]
    assert names == ["column_1", "column_2"]
    assert (await upload(client, HEADLESS, header="present")).json()["rows"] == 2
    assert refusal(await upload(client, HEADLESS, header="maybe")) == (422, "bad_table")


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", CSV, 422, "bad_table"),
        (b"a,b\nsesame\n", CSV, 422, "bad_table"),
        (b"a,b\nsesame\xff,1\n", CSV, 422, "bad_table"),
        (b"sesame", PARQUET, 422, "bad_table"),
        (TABLE, PARQUET, 422, "bad_table"),
        (b"sesame", ARROW, 422, "bad_table"),
        (TABLE, JSON, 415, "unsupported_content_type"),
        (TABLE, "", 415, "unsupported_content_type"),
        (TABLE, "multipart/form-data; boundary=x", 415, "unsupported_content_type"),
        (TABLE, "text/csv; charset=utf-16", 415, "unsupported_content_type"),
        (b"a\n" + b"1\n" * (1 << 20), CSV, 413, "body_too_large"),
    ],
)
async def test_what_is_no_table_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, store: Store, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = await upload(client, body, content_type)
    assert refusal(answer) == (status, code)
    assert str(store.root) not in answer.text and "/dev" not in answer.text
    assert (await client.get("/datasets")).json() == {"datasets": []}
    assert not (store.root / ".datasets").exists()


async def test_a_body_of_unknown_length_is_counted_while_it_comes(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"1\n" * (1 << 15)

    answer = await client.post("/datasets", content=endless(), headers={"content-type": CSV})
    assert refusal(answer) == (413, "body_too_large")


async def test_compressed_bodies_are_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": CSV, "content-encoding": "gzip"}
    assert refusal(await client.post("/datasets", content=TABLE, headers=headers)) == (415, "unsupported_content_type")


async def test_an_infinite_cell_is_kept_until_a_recipe_says_what_it_means(client: httpx.AsyncClient) -> None:
    (column,) = (await upload(client, b"a\n1\n1e999\n")).json()["columns"]
    assert column["doubt"].startswith("a: infinite, or too large for a number, in data row 2; mend it, or say that it")
    assert column["examples"] == [1.0, "inf"]


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "\x00"])
async def test_a_name_is_short_and_can_be_printed(client: httpx.AsyncClient, name: str) -> None:
    assert refusal(await upload(client, name=name)) == (422, "bad_parameter")


async def test_an_error_names_a_column_and_its_line_briefly(client: httpx.AsyncClient) -> None:
    name = "n" * 150
    answer = await upload(client, f"{name};y\n1,5;1\n1.5;1\n".encode(), decimal=",")
    assert message(answer) == f"column {'n' * 39}…: numbers with points, where the decimal is a comma"
    twice = await upload(client, f"{name},{name}\n1,2\n".encode())
    assert message(twice) == f"line 1: two columns are called {'n' * 39}…"


@pytest.mark.parametrize("dataset", ["0" * 32, SESAME, "..%2Fline", "line"])
async def test_a_table_that_there_is_not(client: httpx.AsyncClient, dataset: str) -> None:
    assert refusal(await client.get(f"/datasets/{dataset}"))[0] == 404
    assert refusal(await client.delete(f"/datasets/{dataset}"))[0] == 404


async def test_a_damaged_table_says_so(client: httpx.AsyncClient, store: Store) -> None:
    stored = (await upload(client)).json()
    (store.root / ".datasets" / stored["id"] / "dataset.json").write_text("{}")
    assert refusal(await client.get(f"/datasets/{stored['id']}")) == (503, "dataset_damaged")
    assert (await client.get("/datasets")).json() == {"datasets": []}


async def test_only_the_admin_uploads_and_deletes_and_anybody_looks(store: Store) -> None:
    async with serving(store, admin_key="sesame-admin") as client:
        assert refusal(await upload(client)) == (401, "key_missing")
        stored = await client.post("/datasets", content=TABLE, headers={"content-type": CSV, **KEY})
        address = stored.headers["location"]
        assert (await client.get(address)).json() == stored.json()
        assert refusal(await client.delete(address)) == (401, "key_missing")
        assert (await client.delete(address, headers=KEY)).status_code == 204


async def test_a_body_is_not_read_before_the_key(store: Store) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(TABLE)
        yield TABLE

    async with serving(store, admin_key="sesame-admin") as client:
        answer = await client.post("/datasets", content=body(), headers={"content-type": CSV})
    assert refusal(answer) == (401, "key_missing")
    assert read == []


async def test_who_waits_for_tables_does_not_take_the_threads_of_others(store: Store) -> None:
    released = threading.Event()

    class SlowDatasets(Datasets):
        def list(self) -> Sequence[Stored]:
            released.wait()
            return super().list()

    app = an_app(store)
    app.state.parts = replace(parts_of(app), datasets=SlowDatasets(store.root))
    async with client_of(app) as client:
        waiting = [asyncio.create_task(client.get("/datasets")) for _ in range(64)]
        await asyncio.sleep(0.1)
        assert await asyncio.to_thread(lambda: "a thread") == "a thread"
        released.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_the_document_tells_what_can_be_uploaded(client: httpx.AsyncClient) -> None:
    paths: dict[str, Any] = (await client.get("/openapi.json")).json()["paths"]
    assert list(paths["/datasets"]["post"]["requestBody"]["content"]) == list(FORMS)
    assert "bad_table" in paths["/datasets"]["post"]["responses"]["422"]["description"]
    assert "unknown_dataset" in paths["/datasets/{dataset}"]["get"]["responses"]["404"]["description"]


def test_an_app_is_made_without_what_reads_tables() -> None:
    assert "polars" not in imported("from app.main import create_app")


async def test_an_upload_that_a_full_disk_does_not_take_is_refused_as_such(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_datasets: Datasets) -> FileIO:
        return FileIO("/dev/full", "r+")

    monkeypatch.setattr(Datasets, "receiving", full)
    answer = await client.post("/datasets", content=b"a,b\n1,2\n", headers={"content-type": CSV})
    assert refusal(answer) == (507, "disk_full")


def test_what_the_disk_does_not_take_is_an_error_of_the_write_alone(tmp_path: Path) -> None:
    with Datasets(tmp_path).receiving() as file:
        file.write(b"a")
        assert Path(f"/proc/self/fd/{file.fileno()}").stat().st_size == 1
