"""Dates, times and durations are read alike in every format and protocol, however they are spelled."""

import csv
import datetime
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.scaler import Scaler
from models_store.storage.store import Store
from models_store.tables.table import Kind
from tests.app.over_http import ARROW, CSV, arrow_of, from_arrow, refusal, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork
from tests.table_fakes import tabular

pytestmark = pytest.mark.anyio

VISITS: dict[str, tuple[Kind, list[Any]]] = {
    "day": ("date", ["2020-01-01", "2020-06-30T10:30", "2020-12-31", "2020-03-14"]),
    "at": ("time", ["00:00", "13:31", "23:59:59", None]),
    "waited": ("duration", ["00:05:00", "3 days 13:00:00", "-01:00:00", None]),
}
PLAIN = {"day": "2020-03-14", "at": "13:31:00", "waited": "3 days 13:00:00"}


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    store = Store(tmp_path_factory.mktemp("visits") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    store.publish(tabular("visits", VISITS, OutputDecoder(("cost",), Scaler("standard", np.zeros(1), np.ones(1)))))
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
