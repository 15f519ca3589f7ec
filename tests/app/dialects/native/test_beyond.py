"""?outside=warn, clip, reject or formula: what becomes of rows outside what training saw, in every format."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from models_store.bundle import Bundle
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.scaler import Scaler
from models_store.storage.store import Store
from models_store.tables.table import Kind
from tests.app.over_http import ARROW, CSV, NPY, arrow_of, from_arrow, from_npy, message, npy_of, refusal, serving
from tests.fakes import closed_form, gapped, line, sure
from tests.table_fakes import rents, tabular

pytestmark = pytest.mark.anyio

ASKED = {"inputs": [1, 20, -3]}
FORM = closed_form("2*x_x + 1", x_x="x")


def flats() -> Bundle:
    """A table of numbers, of which one was missing in training."""
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "rooms": ("number", [1, 2, 3, 4]),
        "floor": ("number", [0, 2, None, 4]),
    }
    scaler = Scaler("standard", np.array([800.0]), np.array([256.0]))
    bundle = tabular("flats", columns, OutputDecoder(("rent",), scaler))
    forms = {"rent": closed_form("100*rooms + floor")}
    return replace(bundle, card=bundle.card.model_copy(update={"closed_forms": forms}))


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """`line`, learned from x between 0 and 16, with a formula; `bare`, the same without; and `rents`, a table.

    `flats` is a table of numbers, with a formula; `gapped` is `line` with x from 0 to 4 and from 12 to 16, but none
    between.
    """
    bundle, gap = sure(line(2)), gapped(line(2, "gapped"))
    store.publish(replace(bundle, card=bundle.card.model_copy(update={"closed_forms": {"y": FORM}})))
    store.publish(replace(gap, card=gap.card.model_copy(update={"closed_forms": {"y": FORM}})))
    store.publish(line(2, "bare"))
    store.publish(rents())
    store.publish(flats())
    async with serving(store) as client:
        yield client


@pytest.mark.parametrize(
    ("way", "outputs", "answered"),
    [
        ("true", [2.0, 40.0, -6.0], {}),
        ("warn", [2.0, 40.0, -6.0], {}),
        ("clip", [2.0, 32.0, 0.0], {"answered": "clip"}),
        ("formula", [2.0, 41.0, -5.0], {"answered": "formula"}),
    ],
)
async def test_rows_outside_are_named_and_answered_as_asked(
    client: httpx.AsyncClient, way: str, outputs: list[float], answered: dict[str, str]
) -> None:
    answer = (await client.post(f"/predict/line?outside={way}", json=ASKED)).json()
    named = [{"row": row, "columns": ["x"], **answered} for row in (1, 2)]
    assert answer == {"pattern": "line", "version": 1, "outputs": outputs, "outside": named}


async def test_rows_outside_are_refused_by_their_row_and_never_by_their_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict/line?outside=reject", json=ASKED)
    assert refusal(answer) == (422, "outside")
    assert message(answer) == (
        "row 1 is outside what training saw in x, and 1 more row is; the card has the ranges; leave such rows out, or "
        "ask with outside=warn, clip or formula"
    )
    answer = await client.post("/predict/bare?outside=reject", json={"inputs": [20]})
    assert message(answer) == (
        "row 0 is outside what training saw in x; the card has the ranges; leave such rows out, or ask with "
        "outside=warn or clip"
    )
    assert (await client.post("/predict/line?outside=reject", json={"inputs": [1, 16]})).json()["outside"] == []


async def test_a_refusal_offers_no_formula_where_an_interval_would_be_around_the_networks_answer(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/predict/line?outside=reject&interval=0.9", json=ASKED)
    assert refusal(answer) == (422, "outside")
    assert message(answer).endswith("leave such rows out, or ask with outside=warn or clip")


async def test_a_row_that_the_formula_has_no_value_for_is_refused_as_that(store: Store) -> None:
    bundle = line(2, "root")
    forms = {"closed_forms": {"y": closed_form("sqrt(x)")}}
    store.publish(replace(bundle, card=bundle.card.model_copy(update=forms)))
    async with serving(store) as client:
        answer = await client.post("/predict/root?outside=formula", json={"inputs": [20, -3]})
    assert refusal(answer) == (422, "not_finite")
    assert "row 1: the formula has no finite value there" in answer.text


async def test_a_formula_answers_numbers_too_large_for_the_network(client: httpx.AsyncClient) -> None:
    asked = {"inputs": [1, 1e300]}
    assert refusal(await client.post("/predict/line?outside=warn", json=asked)) == (422, "not_finite")
    answer = (await client.post("/predict/line?outside=formula", json=asked)).json()
    assert answer["outputs"] == [2.0, 2e300]
    assert answer["outside"] == [{"row": 1, "columns": ["x"], "answered": "formula"}]


async def test_a_refusal_names_all_that_may_be_said(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict/line?outside=banana", json=ASKED)
    assert refusal(answer) == (422, "bad_parameter")
    assert message(answer) == "outside: Input should be 'warn', 'clip', 'reject', 'formula', 'true' or 'false'"


async def test_a_version_without_a_formula_does_not_answer_by_one(client: httpx.AsyncClient) -> None:
    for pattern in ("bare", "rents"):
        answer = await client.post(f"/predict/{pattern}?outside=formula", json=ASKED)
        assert refusal(answer) == (422, "bad_parameter")


@pytest.mark.parametrize(("way", "expected"), [("clip", 32.0), ("formula", 41.0)])
async def test_every_format_is_answered_alike_and_says_so_in_its_headers(
    client: httpx.AsyncClient, way: str, expected: float
) -> None:
    bodies = {
        CSV: b"x\n20\n",
        NPY: npy_of(np.array([[20.0]])),
        ARROW: arrow_of(pa.table({"x": [20.0]})),
    }
    for content_type, body in bodies.items():
        answer = await client.post(f"/predict/line?outside={way}", content=body, headers={"content-type": content_type})
        assert answer.headers["x-pattern-outside"] == f'[{{"row":0,"columns":["x"],"answered":"{way}"}}]'
        match content_type:
            case "text/csv":
                assert answer.text.split() == ["y", str(expected)]
            case "application/x-npy":
                assert from_npy(answer.content).ravel().tolist() == [expected]
            case _:
                assert from_arrow(answer.content) == {"y": [expected]}


async def test_many_rows_are_treated_as_few_are(client: httpx.AsyncClient) -> None:
    body = npy_of(np.linspace(-50, 50, 1000)[:, None])
    headers = {"content-type": NPY}
    for way, below in (("clip", 0.0), ("formula", -99.0)):
        answer = await client.post(f"/predict/line?outside={way}", content=body, headers=headers)
        assert from_npy(answer.content)[0, 0] == below


async def test_numbers_of_a_table_are_clipped_and_its_other_columns_stay(client: httpx.AsyncClient) -> None:
    far, near = ({"inputs": {"rooms": rooms, "district": "north"}} for rooms in (40, 4))
    clipped = (await client.post("/predict/rents?outside=clip", json=far)).json()
    assert clipped["outside"] == [{"row": 0, "columns": ["rooms"], "answered": "clip"}]
    assert clipped["outputs"] == (await client.post("/predict/rents", json=near)).json()["outputs"]


async def test_rows_with_a_missing_value_are_answered_by_the_network_where_others_are_by_the_formula(
    client: httpx.AsyncClient,
) -> None:
    asked = {"inputs": [{"rooms": 40, "floor": 1}, {"rooms": 40, "floor": None}, {"rooms": 2, "floor": 2}]}
    plain = (await client.post("/predict/flats", json=asked)).json()["outputs"]
    answer = (await client.post("/predict/flats?outside=formula", json=asked)).json()
    assert answer["outputs"] == [{"rent": 4001.0}, *plain[1:]]
    assert answer["outside"] == [
        {"row": 0, "columns": ["rooms"], "answered": "formula"},
        {"row": 1, "columns": ["rooms"]},
    ]


async def test_only_rows_in_which_a_number_was_clipped_say_so(client: httpx.AsyncClient) -> None:
    rows = [{"rooms": 4, "district": "west"}, {"rooms": 40, "district": "west"}, {"rooms": 2, "district": "north"}]
    answer = (await client.post("/predict/rents?outside=clip", json={"inputs": rows})).json()
    assert answer["outside"] == [
        {"row": 0, "columns": ["district"]},
        {"row": 1, "columns": ["rooms", "district"], "answered": "clip"},
    ]


# -- inside each column's range, but where no training row was ---------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "outputs", "answered"),
    [
        ("warn", [2.0, 16.0, 26.0, 40.0], {}),
        ("clip", [2.0, 16.0, 26.0, 32.0], {}),
        ("formula", [2.0, 17.0, 26.0, 41.0], {"answered": "formula"}),
    ],
)
async def test_rows_where_no_training_row_was_are_named_and_answered_as_asked(
    client: httpx.AsyncClient, way: str, outputs: list[float], answered: dict[str, str]
) -> None:
    answer = (await client.post(f"/predict/gapped?outside={way}", json={"inputs": [1, 8, 13, 20]})).json()
    assert answer["outputs"] == outputs
    hollow, beyond = answer["outside"]
    assert hollow == {"row": 1, "columns": [], "joint": True, "score": hollow["score"], "as_far": 0.0, **answered}
    assert 0.5 < hollow["score"] < 1
    assert (beyond["row"], beyond["columns"], "joint" in beyond) == (3, ["x"], False)


async def test_every_format_names_rows_where_no_training_row_was(client: httpx.AsyncClient) -> None:
    bodies = {CSV: b"x\n8\n1\n", NPY: npy_of(np.array([[8.0], [1.0]])), ARROW: arrow_of(pa.table({"x": [8.0, 1.0]}))}
    for content_type, body in bodies.items():
        headers = {"content-type": content_type}
        answer = await client.post("/predict/gapped?outside=warn", content=body, headers=headers)
        assert answer.headers["x-pattern-outside-rows"] == "1"
        assert answer.headers["x-pattern-outside"].startswith('[{"row":0,"columns":[],"joint":true,"score":0.')
    plain = await client.post("/predict/gapped", content=b"x\n8\n", headers={"content-type": CSV})
    assert "x-pattern-outside" not in plain.headers


async def test_rows_where_no_training_row_was_are_refused_without_their_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict/gapped?outside=reject", json={"inputs": [1, 8, 9]})
    assert refusal(answer) == (422, "outside")
    assert message(answer) == (
        "row 1 is inside each column's range, but where no training row was, and 1 more row is outside what "
        "training saw; leave such rows out, or ask with outside=warn, clip or formula"
    )
