"""Dates, times and durations are read alike in every format and protocol, however they are spelled."""

import csv
import datetime
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from models_store.bundle import Bundle
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.storage.store import Store
from models_store.tables.spelling import Spelling
from models_store.tables.table import Kind, Table, column_of, from_json
from tests.app.over_http import ARROW, CSV, arrow_of, from_arrow, message, refusal, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork
from tests.table_fakes import tabular

pytestmark = pytest.mark.anyio

VISITS: dict[str, tuple[Kind, list[Any]]] = {
    "day": ("date", ["2020-01-01", "2020-06-30T10:30", "2020-12-31", "2020-03-14"]),
    "at": ("time", ["00:00", "13:31", "23:59:59", None]),
    "waited": ("duration", ["00:05:00", "3 days 13:00:00", "-01:00:00", None]),
}
COST = OutputDecoder(("cost",), Scaler("standard", np.zeros(1), np.ones(1)))
PLAIN = {"day": "2020-03-14", "at": "13:31:00", "waited": "3 days 13:00:00"}


FORMATS = {"day": "%Y%m%d", "seen": "%s", "at": "%H%M", "ends": "%d-%b-%y"}
STAMPS: dict[str, tuple[Kind, list[Any]]] = {
    "day": ("date", ["2020-01-01", "2020-06-30", "2020-12-31", None]),
    "seen": ("date", ["2020-01-01", "2020-06-30T10:30", "2020-12-31", None]),
    "at": ("time", ["00:00", "13:31", "23:59", None]),
    "ends": ("date", ["2020-01-01", "2020-06-30", "2020-12-31", None]),
}
IN_ISO = {"day": "2020-03-14", "seen": "2020-03-14T10:30", "at": "09:31", "ends": "2020-03-14"}
AS_FORMATTED = {"day": 20200314, "seen": 1584181800, "at": 931, "ends": "14-MAR-20"}


def stamps() -> Bundle:
    """A pattern whose columns have formats, most of them of digits."""
    bundle = tabular("stamps", STAMPS, COST)
    encoder = bundle.predictor.encoder
    assert isinstance(encoder, TableEncoder)
    spelled = replace(encoder, spelling=Spelling(formats=FORMATS))
    return replace(bundle, predictor=replace(bundle.predictor, encoder=spelled))


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    store = Store(tmp_path_factory.mktemp("visits") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    store.publish(tabular("visits", VISITS, COST))
    store.publish(stamps())
    async with serving(store, log_level="warning") as client:
        yield client


async def in_json(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    return await client.post("/predict/visits", json={"inputs": row})


async def in_csv(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    return await client.post("/predict/visits", content=csv_of(row), headers={"content-type": CSV})


async def in_arrow_strings(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    content = arrow_of(pa.table({name: [value] for name, value in row.items()}))
    return await client.post("/predict/visits", content=content, headers={"content-type": ARROW})


async def in_oip(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    inputs = [{"name": name, "datatype": "BYTES", "shape": [1], "data": [value]} for name, value in row.items()]
    return await client.post("/v2/models/visits/infer", json={"inputs": inputs})


async def as_instance(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    return await client.post("/v1/models/visits:predict", json={"instances": [row]})


async def as_record(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    return await client.post("/invocations?pattern=visits", json={"dataframe_records": [row]})


async def as_scored_csv(client: httpx.AsyncClient, row: dict[str, str]) -> httpx.Response:
    headers = {"content-type": CSV, "accept": "application/json"}
    return await client.post("/invocations?pattern=visits", content=csv_of(row), headers=headers)


WAYS = [in_json, in_csv, in_arrow_strings, in_oip, as_instance, as_record, as_scored_csv]


MONTHS = ["2020-04", "04/2020", "2020Q2", "Apr 2020", "2020-04-01"]


@pytest.mark.parametrize("way", WAYS)
async def test_months_and_quarters_are_their_first_day(client: httpx.AsyncClient, way: Any) -> None:
    answers = {(await way(client, {**PLAIN, "day": month})).content for month in MONTHS}
    assert len(answers) == 1


def csv_of(row: dict[str, str]) -> bytes:
    target = io.StringIO()
    csv.writer(target).writerows([row.keys(), row.values()])
    return target.getvalue().encode()


SPELLED = [
    *(
        ("day", spelled)
        for spelled in (
            "2020/03/14",
            "2020.03.14",
            "2020-3-14",
            "14 Mar 2020",
            "14-Mar-2020",
            "Mar 14, 2020",
            "14MAR2020",
            "14mar2020 00:00:00",
            "2020-03-14 00:00:00+00",
            "2020-03-14 00:00:00 UTC",
            "2020-03-14 00:00:00 +0000",
            "2020-03-14 00:00:00.0000000",
            "2020-03-14 00:00:00.000000000",
            "2020-03-14 00:00:00,000",
            "2020-03-14 12:00:00 AM",
            "20200314T0000",
            "[14/Mar/2020:00:00:00 -0700]",
            "2020-W11-6",
        )
    ),
    ("at", "13:31"),
    ("at", "1:31 PM"),
    ("at", "13:31:00.000000000"),
    ("at", "13:31:00+02"),
    ("waited", "85:00:00"),
    ("waited", "3 days, 13:00:00"),
    ("waited", "P3DT13H"),
    ("waited", "PT306000S"),
]


@pytest.mark.parametrize("way", WAYS)
async def test_every_spelling_is_answered_alike(client: httpx.AsyncClient, way: Any) -> None:
    plain = await way(client, PLAIN)
    assert plain.status_code == 200, plain.text
    for name, spelled in SPELLED:
        answer = await way(client, {**PLAIN, name: spelled})
        assert (answer.status_code, answer.content) == (200, plain.content), spelled


@pytest.mark.parametrize("way", WAYS)
async def test_a_time_that_is_none_is_refused_by_column(client: httpx.AsyncClient, way: Any) -> None:
    for name, wrong in (("at", "noon"), ("at", "24:00"), ("waited", "long"), ("waited", "12:30"), ("day", "sesame")):
        answer = await way(client, {**PLAIN, name: wrong})
        expected = {"at": "a time of day such as", "waited": "a duration such as", "day": "a date such as"}
        assert answer.status_code in (400, 422)
        assert f"column {name}: expected {expected[name]}" in answer.text
        assert wrong not in answer.text or wrong in "12:30 24:00"


@pytest.mark.parametrize(
    ("time", "duration"),
    [
        (pa.time32("s"), pa.duration("s")),
        (pa.time32("ms"), pa.duration("ms")),
        (pa.time64("us"), pa.duration("us")),
        (pa.time64("ns"), pa.duration("ns")),
    ],
    ids=str,
)
async def test_times_and_durations_come_in_every_unit_of_arrow(
    client: httpx.AsyncClient, time: Any, duration: Any
) -> None:
    columns = {
        "day": pa.array([datetime.date(2020, 3, 14)] * 2),
        "at": pa.array([datetime.time(13, 31), None], time),
        "waited": pa.array([datetime.timedelta(days=3, hours=13), None], duration),
    }
    answer = await client.post("/predict/visits", content=arrow_of(pa.table(columns)), headers={"content-type": ARROW})
    assert answer.status_code == 200, answer.text
    rows = [PLAIN, {"day": "2020-03-14", "at": None, "waited": None}]
    asked = await client.post("/predict/visits", json={"inputs": rows})
    assert from_arrow(answer.content)["cost"] == [row["cost"] for row in asked.json()["outputs"]]


@pytest.mark.parametrize(
    ("name", "column", "refused"),
    [
        ("at", pa.array([86_400], pa.int32()).view(pa.time32("s")), (400, "malformed")),
        ("at", pa.array([-1], pa.int64()).view(pa.time64("us")), (400, "malformed")),
        ("at", pa.array([13.5]), (422, "bad_type")),
        ("waited", pa.array([2**62], pa.duration("s")), (422, "bad_value")),
        ("waited", pa.array([datetime.time(3)]), (422, "bad_type")),
    ],
)
async def test_arrow_values_that_are_none_are_refused(
    client: httpx.AsyncClient, name: str, column: Any, refused: tuple[int, str]
) -> None:
    plain = {"day": pa.array([datetime.date(2020, 3, 14)]), "at": pa.array(["13:31"]), "waited": pa.array(["1 day"])}
    content = arrow_of(pa.table({**plain, name: column}))
    answer = await client.post("/predict/visits", content=content, headers={"content-type": ARROW})
    assert refusal(answer) == refused


async def test_the_card_says_the_range_as_it_is_asked(client: httpx.AsyncClient) -> None:
    card = (await client.get("/patterns/visits")).json()["card"]
    ranges = {column["name"]: (column["kind"], column["minimum"], column["maximum"]) for column in card["inputs"]}
    assert ranges == {
        "day": ("date", "2020-01-01", "2020-12-31"),
        "at": ("time", "00:00:00", "23:59:59"),
        "waited": ("duration", "-01:00:00", "3 days 13:00:00"),
    }


IN_COLUMNS: dict[str, list[Any]] = {name: [value] for name, value in AS_FORMATTED.items()}
FORMATTED: dict[str, Any] = {
    "JSON": {"path": "/predict/stamps", "json": {"inputs": AS_FORMATTED}},
    "JSON texts": {"path": "/predict/stamps", "json": {"inputs": {**AS_FORMATTED, "day": "20200314", "at": "0931"}}},
    "JSON floats": {"path": "/predict/stamps", "json": {"inputs": {**AS_FORMATTED, "day": 20200314.0, "at": 931.0}}},
    "CSV": {"path": "/predict/stamps", "content": b"day,seen,at,ends\n20200314,1584181800,0931,14-MAR-20\n"},
    "CSV of floats": {"path": "/predict/stamps", "content": b"day,seen,at,ends\n20200314.0,1584181800.0,931,14Mar2020"},
    "scored CSV": {"path": "/invocations?pattern=stamps", "content": b"20200314,1584181800,0931,14-MAR-20\n"},
    "instances": {"path": "/v1/models/stamps:predict", "json": {"instances": [AS_FORMATTED]}},
    "records": {"path": "/invocations?pattern=stamps", "json": {"dataframe_records": [AS_FORMATTED]}},
    "tensors": {
        "path": "/v2/models/stamps/infer",
        "json": {
            "inputs": [
                {"name": "day", "datatype": "INT32", "shape": [1], "data": [20200314]},
                {"name": "seen", "datatype": "INT64", "shape": [1], "data": [1584181800]},
                {"name": "at", "datatype": "UINT16", "shape": [1], "data": [931]},
                {"name": "ends", "datatype": "BYTES", "shape": [1], "data": ["14-MAR-20"]},
            ]
        },
    },
    "Arrow": {"path": "/predict/stamps", "table": IN_COLUMNS},
    "Arrow floats": {"path": "/predict/stamps", "table": {**IN_COLUMNS, "day": [20200314.0]}},
    "JSON in ISO": {"path": "/predict/stamps", "json": {"inputs": IN_ISO}},
}


@pytest.mark.parametrize("question", FORMATTED.values(), ids=FORMATTED)
async def test_a_format_is_read_alike_everywhere_and_beside_iso_8601(
    client: httpx.AsyncClient, question: dict[str, Any]
) -> None:
    bundle = stamps()
    row = {name: [from_json(kind, IN_ISO[name])] for name, kind in bundle.kinds.items()}
    expected = bundle.predict(Table({name: column_of(bundle.kinds[name], cells) for name, cells in row.items()}))
    body = {"json": question["json"]} if "json" in question else {}
    if "content" in question:
        body = {"content": question["content"], "headers": {"content-type": CSV, "accept": "*/*"}}
    if "table" in question:
        body = {"content": arrow_of(pa.table(question["table"])), "headers": {"content-type": ARROW}}
    answer = await client.post(question["path"], **body)
    assert answer.status_code == 200, answer.text
    assert cost_in(answer) == pytest.approx(expected.item(), rel=1e-6)


def cost_in(answer: httpx.Response) -> float:
    """Return the one number of an answer, whatever its layout."""
    if answer.headers["content-type"] == ARROW:
        (cost,) = from_arrow(answer.content)["cost"]
        return float(cost)
    numbers = re.findall(r"-?[0-9]+\.[0-9]+(?:e-?[0-9]+)?", answer.text)
    return float(numbers[-1])


async def test_what_has_not_the_format_is_told_the_format(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict/stamps", json={"inputs": {**AS_FORMATTED, "day": 20201399}})
    assert refusal(answer) == (422, "bad_value")
    expected = "a date such as 2024-05-31 or 2024-05-31T18:00, or 20240531 (%Y%m%d)"
    assert message(answer) == f"row 0, column day: expected {expected}, found a number"


async def test_what_is_written_as_text_is_text_in_the_metadata(client: httpx.AsyncClient) -> None:
    model = (await client.get("/v2/models/visits")).json()
    assert {column["name"]: column["datatype"] for column in model["inputs"]} == dict.fromkeys(VISITS, "BYTES")
    served = (await client.get("/v1/models/visits/metadata")).json()
    inputs = served["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert {name: column["dtype"] for name, column in inputs.items()} == dict.fromkeys(VISITS, "DT_STRING")
