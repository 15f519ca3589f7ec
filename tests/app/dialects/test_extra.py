"""Columns of a question that are no inputs: ignored, or refused by name, in every format and protocol."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from models_store.storage.store import Store
from models_store.tables.table import Kind
from tests.app.over_http import pair, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork
from tests.server.forms import FORMS, Form, Rows
from tests.table_fakes import passengers

pytestmark = pytest.mark.anyio

PASSENGERS = passengers()
# Training left out the ticket; survived is the target.
BUNDLES = {
    "passengers": replace(PASSENGERS, card=PASSENGERS.card.model_copy(update={"left_out": ["ticket"]})),
    "pair": pair(),
}
ROWS: dict[str, Rows] = {
    "passengers": [
        {"age": 22.0, "port": "S", "crew": True, "boarded": "1912-04-10", "note": "cabin"},
        {"age": 35.0, "port": "C", "crew": False, "boarded": "1912-04-11", "note": "trip"},
    ],
    "pair": [{"x1": 1.0, "x2": 2.0}, {"x1": 3.0, "x2": 4.0}],
}
KNOWN: dict[str, dict[str, Any]] = {"passengers": {"ticket": "A/5", "survived": "no"}, "pair": {"y1": 5.0, "y2": 1.0}}
KINDS: dict[str, Kind] = {"ticket": "category", "survived": "category", "y1": "number", "y2": "number"}
KINDS |= {"fare": "number", "deck": "category"}
# Forms without names have columns in order, of which none can be too many.
UNNAMED = ("rows", "flat", "npy", "lists", "one tensor", "instances", "without header")
CASES = [
    (name, form)
    for name, bundle in BUNDLES.items()
    for form in FORMS
    if form.takes(bundle) and not any(word in form.name for word in UNNAMED)
]
cases = pytest.mark.parametrize(("pattern", "form"), CASES, ids=[f"{pattern}: {form.name}" for pattern, form in CASES])


@pytest.fixture(scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    store = Store(tmp_path_factory.mktemp("extra") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in BUNDLES.values():
        store.publish(bundle)
    async with serving(store, log_level="warning", max_rows=60) as client:
        yield client


async def answered(client: httpx.AsyncClient, form: Form, pattern: str, rows: Rows, query: str = "") -> httpx.Response:
    kinds = BUNDLES[pattern].kinds
    body, headers = form.write(rows, {name: kinds.get(name) or KINDS[name] for name in rows[0]})
    path = form.path.format(pattern=pattern)
    path += f"{'&' if '?' in path else '?'}{query}" if query else ""
    return await client.post(path, content=body, headers=headers)


async def answers(client: httpx.AsyncClient, form: Form, pattern: str, rows: Rows, query: str = "") -> Any:
    answer = await answered(client, form, pattern, rows, query)
    assert answer.status_code == 200, answer.text
    return form.read(answer, BUNDLES[pattern].outputs)


def beside(rows: Rows, more: dict[str, Any]) -> Rows:
    """Return the rows with more columns, before and after the others."""
    first, *others = more
    return [{first: more[first], **row, **{name: more[name] for name in others}} for row in rows]


@cases
async def test_targets_and_what_training_left_out_are_ignored(
    asked: httpx.AsyncClient, pattern: str, form: Form
) -> None:
    expected = await answers(asked, form, pattern, ROWS[pattern])
    assert await answers(asked, form, pattern, beside(ROWS[pattern], KNOWN[pattern])) == expected


@cases
async def test_other_columns_are_refused_by_name_unless_the_question_says_otherwise(
    asked: httpx.AsyncClient, pattern: str, form: Form
) -> None:
    expected = await answers(asked, form, pattern, ROWS[pattern])
    rows = beside(ROWS[pattern], {"fare": 7.5, "deck": "B", **KNOWN[pattern]})
    refused = await answered(asked, form, pattern, rows)
    assert refused.status_code in (400, 422)
    names = "deck, fare" if form.name == "scoring, split" else "fare, deck"
    assert f"columns {names} are not among" in refused.text
    assert "?extra=ignore" in refused.text
    assert "7.5" not in refused.text
    assert await answers(asked, form, pattern, rows, "extra=ignore") == expected
    strictly = await answered(asked, form, pattern, rows, "extra=refuse")
    assert f"columns {names} are not among" in strictly.text
    wrong = await answered(asked, form, pattern, ROWS[pattern], "extra=drop")
    assert wrong.status_code in (400, 422)
    assert "extra: " in wrong.text


@cases
async def test_a_question_about_rows_outside_is_answered_or_refused(
    asked: httpx.AsyncClient, pattern: str, form: Form
) -> None:
    far = [{**row, **{name: 1e9 for name, value in row.items() if type(value) is float}} for row in ROWS[pattern]]
    refused = await answered(asked, form, pattern, far, "outside=reject")
    assert refused.status_code in (400, 422)
    assert "outside" in refused.text or "there is no such parameter" in refused.text


@cases
async def test_an_index_that_pandas_gave_no_name_is_ignored(asked: httpx.AsyncClient, pattern: str, form: Form) -> None:
    expected = await answers(asked, form, pattern, ROWS[pattern])
    name = "" if form.name.startswith(("CSV", "scoring, CSV")) else "__index_level_0__"
    indexed: Rows = [{name: float(place), **row} for place, row in enumerate(ROWS[pattern])]
    KINDS[name] = "number"
    assert await answers(asked, form, pattern, indexed) == expected


async def test_many_columns_that_are_ignored_are_not_taken_for_many_rows(asked: httpx.AsyncClient) -> None:
    more = {f"column {place}": place for place in range(90)}
    rows = [{"x1": 1.0, "x2": 2.0, **more}] * 60
    answer = await asked.post("/predict/pair?extra=ignore", json={"inputs": rows})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["outputs"]) == 60


async def test_a_list_in_a_column_that_is_ignored_is_none_of_the_layout(asked: httpx.AsyncClient) -> None:
    row = {"x1": 1.0, "x2": 2.0}
    expected = await asked.post("/predict/pair", json={"inputs": row})
    answer = await asked.post("/predict/pair", json={"inputs": {**row, "y1": [1.0, 2.0]}})
    assert (answer.status_code, answer.json()) == (200, expected.json())
