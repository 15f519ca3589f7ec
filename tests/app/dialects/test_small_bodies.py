"""Small bodies have readers of their own: the answer is that to the same body with blanks behind it."""

import random
from collections.abc import Callable

import pytest

from models_store.storage.store import Store
from tests.app.over_http import pair, serving
from tests.fakes import line

pytestmark = pytest.mark.anyio

ROUNDS = 400
BLANKS = " " * 300
NUMBERS = ["1", "2.5", "-0", "-0.0", "1e3", "9007199254740993", "18446744073709551616", "1e308"]
OTHERS = ["1e400", "1e39", "true", "null", '"1"', "[1]", "01", "-", "NaN"]
ADDRESSES = {
    "native": "/predict/{}",
    "oip": "/v2/models/{}/infer",
    "tfs": "/v1/models/{}:predict",
    "scoring": "/invocations?pattern={}",
}


def a_number(rng: random.Random) -> str:
    return rng.choice(NUMBERS * 4 + OTHERS)


def some_rows(rng: random.Random, width: int) -> str:
    n_rows = rng.choice([0, 1, 2, 3])
    if rng.random() < 0.3:
        return f"[{','.join(a_number(rng) for _ in range(n_rows * rng.choice([1, width])))}]"
    lengths = [rng.choice([width] * 6 + [width + 1, 0]) for _ in range(n_rows)]
    rows = ["[" + ",".join(a_number(rng) for _ in range(length)) + "]" for length in lengths]
    return f"[{','.join(rows)}]"


def of_rows(rng: random.Random, width: int) -> str:
    key = rng.choice(["inputs", "instances"])
    return f'{{"{key}": {some_rows(rng, width)}}}'


def of_oip(rng: random.Random, width: int) -> str:
    usual = [f"[1,{width}]", f"[2,{width}]"] * 4
    shape = rng.choice([*usual, "[1]", "[2]", f"[2.0,{width}]", "[true,1]", f"[1,{width},1]"])
    more = rng.choice([""] * 5 + [',"id":"a"', ',"id":null', ',"id":"a:b"', ',"id":7', ',"outputs":[]'])
    datatype = rng.choice(["FP32", "FP64", "FP64", "INT64", "FP16"])
    parts = [
        rng.choice(['"name":"x"', '"name":"rows"', '"name":"rows"', '"name":""', '"name":"x1"']),
        f'"datatype":"{datatype}"',
        f'"shape":{shape}',
        f'"data":{some_rows(rng, width)}',
    ]
    rng.shuffle(parts)
    return '{"inputs":[{' + ",".join(parts) + "}]" + more + "}"


def of_scoring(rng: random.Random, width: int) -> str:
    columns = rng.choice(['["x1","x2"]', '["x"]', '["x2","x1"]', "[0]"])
    split = f'{{"dataframe_split":{{"columns":{columns},"data":{some_rows(rng, width)}}}}}'
    return rng.choice([split, of_rows(rng, width), f'{{"instances":{some_rows(rng, width)},"inputs":1}}'])


BODIES: dict[str, Callable[[random.Random, int], str]] = {
    "native": of_rows,
    "oip": of_oip,
    "tfs": of_rows,
    "scoring": of_scoring,
}


@pytest.mark.parametrize("protocol", BODIES)
async def test_blanks_behind_a_body_change_nothing(store: Store, protocol: str) -> None:
    rng = random.Random(protocol)
    store.publish(line())
    store.publish(pair())
    n_answered = 0
    async with serving(store) as client:
        for _ in range(ROUNDS):
            name, width = rng.choice([("line", 1), ("pair", 2)])
            body, address = BODIES[protocol](rng, width), ADDRESSES[protocol].format(name)
            headers = {"content-type": "application/json", "x-request-id": "it"}
            small, padded = [
                await client.post(address, content=sent, headers=headers) for sent in (body, body + BLANKS)
            ]
            assert (small.status_code, small.text) == (padded.status_code, padded.text), body
            n_answered += small.status_code == 200
    assert n_answered > ROUNDS // 20
