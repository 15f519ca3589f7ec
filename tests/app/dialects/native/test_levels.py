"""?interval=0.9 and ?confidence=0.9: intervals and sets of labels, in every format."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from app.dialects.levels import Levels
from app.errors import Unprocessable
from app.formats.reply import Reply
from models_store.storage.store import Store
from tests.app.over_http import (
    ARROW,
    CSV,
    NPY,
    arrow_of,
    fork,
    from_arrow,
    from_npy,
    linear,
    message,
    npy_of,
    refusal,
    serving,
)
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, gapped, line, sure
from tests.table_fakes import flowers, rents

pytestmark = pytest.mark.anyio

LINES = "application/jsonl"
PARQUET = "application/vnd.apache.parquet"
FLOWER = {"length": 1.5, "width": 0.25}


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """`line`, `fork` of two outputs, `rents` and `flowers` with calibrations, and `bare` without one."""
    store = Store(tmp_path_factory.mktemp("levels") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (line(), fork(), rents(), flowers(), flowers("numbered", ("1", "2", "3"), "number")):
        store.publish(sure(bundle))
    store.publish(sure(gapped(line(2, "gapped"))))
    store.publish(line(2, "bare"))
    store.publish(flowers("bare-flowers"))
    async with serving(store, max_rows=20_000, log_level="warning") as client:
        yield client


async def said(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(f"/predict/{path}", json={"inputs": body})
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- layouts of JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "outputs", "intervals"),
    [
        ([[1], [2]], [[2.0], [4.0]], [[[-16.0, 20.0]], [[-14.0, 22.0]]]),
        ([1, 2], [2.0, 4.0], [[-16.0, 20.0], [-14.0, 22.0]]),
        ([{"x": 1}], [{"y": 2.0}], [{"y": [-16.0, 20.0]}]),
        ({"x": 1}, {"y": 2.0}, {"y": [-16.0, 20.0]}),
        ({"x": [1, 2]}, {"y": [2.0, 4.0]}, {"y": [[-16.0, 20.0], [-14.0, 22.0]]}),
    ],
)
async def test_intervals_have_the_layout_of_the_outputs(
    client: httpx.AsyncClient, body: Any, outputs: Any, intervals: Any
) -> None:
    answer = await said(client, "line?interval=0.9", body)
    assert answer == {"pattern": "line", "version": 1, "outputs": outputs, "intervals": intervals}


async def test_each_output_has_an_interval_of_its_own_and_jointly_they_are_wider(client: httpx.AsyncClient) -> None:
    alone = await said(client, "fork?interval=0.9", [[1]])
    assert alone["intervals"] == [[[-17.0, 19.0], [-20.0, 18.0]]]
    jointly = await said(client, "fork?interval=0.9&joint=true", {"x": 1})
    assert jointly["intervals"] == {"up": [-18.0, 20.0], "down": [-20.0, 18.0]}


@pytest.mark.parametrize(
    ("body", "sets"),
    [
        ([[1.5, 0.25]], [[["virginica", "versicolor"]]]),
        ([FLOWER], [{"species": ["virginica", "versicolor"]}]),
        (FLOWER, {"species": ["virginica", "versicolor"]}),
        ({"length": [1.5], "width": [0.25]}, {"species": [["virginica", "versicolor"]]}),
    ],
)
async def test_sets_have_the_layout_of_the_outputs_and_begin_with_the_answer(
    client: httpx.AsyncClient, body: Any, sets: Any
) -> None:
    answer = await said(client, "flowers?confidence=0.9", body)
    assert answer["sets"] == sets
    beside = await said(client, "flowers?confidence=0.9&probabilities=true", [FLOWER])
    likely = beside["probabilities"][0]["species"]
    assert [label for label, p in sorted(likely.items(), key=lambda pair: -pair[1]) if p >= 0.3] == beside["sets"][0][
        "species"
    ]


async def test_labels_of_sets_are_of_the_type_of_the_data(client: httpx.AsyncClient) -> None:
    answer = await said(client, "numbered?confidence=0.95", FLOWER)
    assert (answer["outputs"], answer["sets"]) == ({"species": 3}, {"species": [3, 2]})


# -- other formats -----------------------------------------------------------------------------------------------------


async def sent(client: httpx.AsyncClient, path: str, body: bytes | str, content_type: str) -> bytes:
    answer = await client.post(f"/predict/{path}", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_tables_gain_columns_for_the_ends(client: httpx.AsyncClient) -> None:
    wanted = {"up": [1.0], "down": [-1.0], "up_lower": [-17.0], "up_upper": [19.0]}
    wanted |= {"down_lower": [-20.0], "down_upper": [18.0]}
    text = (await sent(client, "fork?interval=0.9", "x\n1\n", CSV)).decode()
    assert text == "up,down,up_lower,up_upper,down_lower,down_upper\n1.0,-1.0,-17.0,19.0,-20.0,18.0\n"
    arrow = await sent(client, "fork?interval=0.9", arrow_of(pa.table({"x": [1.0]})), ARROW)
    assert from_arrow(arrow) == wanted
    target = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table({"x": [1.0]}), target)
    parquet = await sent(client, "fork?interval=0.9", target.getvalue().to_pybytes(), PARQUET)
    assert pa.parquet.read_table(pa.BufferReader(parquet)).to_pydict() == wanted
    rows = await sent(client, "fork?interval=0.9", npy_of(np.array([[1.0]])), NPY)
    assert from_npy(rows).tolist() == [[1.0, -1.0, -17.0, 19.0, -20.0, 18.0]]
    fields = await sent(client, "fork?interval=0.9", npy_of(np.array([(1.0,)], [("x", "f8")])), NPY)
    named: Any = from_npy(fields)
    assert {name: named[name].tolist() for name in named.dtype.names} == wanted
    one_line = await sent(client, "fork?interval=0.9", b'{"x": 1}\n', LINES)
    assert json.loads(one_line) == {
        "outputs": {"up": 1.0, "down": -1.0},
        "intervals": {"up": [-17.0, 19.0], "down": [-20.0, 18.0]},
    }


async def test_tables_gain_a_column_for_the_set(client: httpx.AsyncClient) -> None:
    text = (await sent(client, "flowers?confidence=0.9", "length,width\n1.5,0.25\n", CSV)).decode()
    assert text == 'species,species_set\nvirginica,"[""virginica"",""versicolor""]"\n'
    table = arrow_of(pa.table({"length": [1.5], "width": [0.25]}))
    assert from_arrow(await sent(client, "flowers?confidence=0.9", table, ARROW)) == {
        "species": ["virginica"],
        "species_set": [["virginica", "versicolor"]],
    }
    rows = await sent(client, "flowers?confidence=0.9", npy_of(np.array([[1.5, 0.25]])), NPY)
    assert from_npy(rows).tolist() == [[False, True, True]]


def test_an_output_of_the_name_of_an_end_is_answered_in_json_alone() -> None:
    reply = sure(linear("names", {"y": "x", "y_lower": "-x"}, [[1, -1]]))
    rows = np.array([[1.0]])
    answers = reply.predict(rows)
    written = Reply(reply, answers, ends=Levels.said(0.9, None).sureness(reply, rows, answers).ends)
    assert set(written.in_layout("record")["intervals"]) == {"y", "y_lower"}
    with pytest.raises(Unprocessable, match="ask in JSON"):
        assert written.columns


# -- outside -----------------------------------------------------------------------------------------------------------


async def test_rows_outside_what_training_saw_are_said_to_have_no_guarantee(client: httpx.AsyncClient) -> None:
    answer = await said(client, "line?interval=0.9", [[20], [1]])
    assert answer["outside"] == [{"row": 0, "columns": ["x"], "guaranteed": False}]
    clipped = await said(client, "line?interval=0.9&outside=clip", [20])
    assert (clipped["outputs"], clipped["intervals"]) == ([32.0], [[14.0, 50.0]])
    assert clipped["outside"] == [{"row": 0, "columns": ["x"], "answered": "clip", "guaranteed": False}]
    unseen = await said(client, "rents?interval=0.9", [{"rooms": 2, "district": "west"}])
    assert unseen["outside"] == [{"row": 0, "columns": ["district"], "guaranteed": False}]
    flower = await said(client, "flowers?confidence=0.9", [{"length": 99, "width": 1}])
    assert flower["outside"] == [{"row": 0, "columns": ["length"], "guaranteed": False}]
    in_header = await client.post("/predict/line?interval=0.9", content="x\n20\n", headers={"content-type": CSV})
    assert json.loads(in_header.headers["x-pattern-outside"]) == [{"row": 0, "columns": ["x"], "guaranteed": False}]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["0", "1", "-0.5", "nan", "inf", "0.99999999999999999", "much", "", "true"])
@pytest.mark.parametrize(("pattern", "name"), [("line", "interval"), ("flowers", "confidence")])
async def test_a_level_is_above_0_and_below_1(client: httpx.AsyncClient, pattern: str, name: str, level: str) -> None:
    answer = await client.post(f"/predict/{pattern}?{name}={level}", json={"inputs": [[1]]})
    assert refusal(answer) == (422, "bad_parameter")
    assert message(answer) == f"{name}: expected how often it is to hold, above 0 and below 1, such as 0.9"


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        (
            "flowers?interval=0.9",
            "bad_parameter",
            "interval: this pattern answers labels; ask for a set",
        ),
        ("line?confidence=0.9", "bad_parameter", "confidence: this pattern answers numbers; ask for interval=0.9"),
        ("line?joint=true", "bad_parameter", "joint: it is about intervals; give interval=0.9 too, or leave it out"),
        ("line?interval=0.9&outside=formula", "bad_parameter", "outside: an interval is around the network's answer"),
        (
            "line?interval=0.99",
            "too_few_rows",
            "a level of 0.99 takes 99 calibration rows, and this version has 19",
        ),
        (
            "flowers?confidence=0.99",
            "too_few_rows",
            "a level of 0.99 takes 99 calibration rows of each label, and this version has 19; ask for at most 0.95",
        ),
        (
            "bare?interval=0.9",
            "no_calibration",
            "no calibration, because an earlier release trained it",
        ),
        ("bare-flowers?confidence=0.9", "no_calibration", 'POST /train {"pattern": "bare-flowers"}'),
    ],
)
async def test_what_cannot_be_had_is_refused_with_the_way_out(
    client: httpx.AsyncClient, path: str, code: str, words: str
) -> None:
    answer = await client.post(f"/predict/{path}", json={"inputs": [[1]]})
    assert refusal(answer) == (422, code)
    assert words in message(answer)


async def test_metrics_count_the_rows_by_pattern_and_kind(client: httpx.AsyncClient) -> None:
    def counted(text: str, name: str) -> float:
        values = [line for line in text.splitlines() if line.startswith(f"patterns_sure_rows_total{{{name}}}")]
        return float(values[0].rpartition(" ")[2]) if values else 0.0

    names = ['kind="interval",pattern="fork"', 'kind="set",pattern="flowers"']
    before = (await client.get("/metrics")).text
    await said(client, "fork?interval=0.9", [[1], [2]])
    await said(client, "flowers?confidence=0.9", [FLOWER])
    after = (await client.get("/metrics")).text
    assert [counted(after, name) - counted(before, name) for name in names] == [2, 1]


# -- many rows ---------------------------------------------------------------------------------------------------------


async def test_many_rows_have_the_intervals_that_each_has_alone(client: httpx.AsyncClient) -> None:
    rows = np.arange(9000.0)[:, None] / 1024
    together = from_npy(await sent(client, "line?interval=0.9", npy_of(rows), NPY))
    assert together.tolist() == np.concatenate([2 * rows, 2 * rows - 18, 2 * rows + 18], axis=1).tolist()


async def test_intervals_are_not_guaranteed_where_no_training_row_was(client: httpx.AsyncClient) -> None:
    (hollow,) = (await said(client, "gapped?interval=0.9", [1, 8]))["outside"]
    assert (hollow["row"], hollow["columns"], hollow["joint"], hollow["guaranteed"]) == (1, [], True, False)
