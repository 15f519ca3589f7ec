"""/invocations, as clients of MLflow, SageMaker and Vertex AI ask, and where they look after a server's health."""

import io
import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from app.formats.media_types import ARROW, ARROW_FILE, NPY, PARQUET
from app.settings import Settings
from models_store.storage.store import Store
from tests.app.over_http import CSV, JSON, SESAME, an_app, client_of, outputs_of, pair, said, serving
from tests.fakes import line

pytestmark = pytest.mark.anyio

REST = {"port": "Zanzibar", "crew": True, "boarded": "1912-04-10", "note": "cabin"}


async def asked(client: httpx.AsyncClient, body: Any, query: str = "", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body)
    headers = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"/invocations{query}", content=content, headers=headers)


# -- JSON ----------------------------------------------------------------------------------------------------------

ONE = [{"y1": 4.0, "y2": 1.0}]
TWO = [*ONE, {"y1": 0.0, "y2": 0.0}]


@pytest.mark.parametrize(
    ("query", "body", "predictions"),
    [
        ("", {"dataframe_split": {"columns": ["x1", "x2"], "data": [[2, 1], [0, 0]]}}, TWO),
        ("", {"dataframe_split": {"columns": ["x2", "x1"], "data": [[1, 2]], "index": ["a"]}}, ONE),
        ("", {"dataframe_split": {"columns": [0, 1], "data": [[2, 1]], "index": [0]}}, ONE),
        ("", {"dataframe_split": {"data": [[2, 1]]}}, ONE),
        ("", {"dataframe_records": [{"x1": 2, "x2": 1}, {"x2": 0, "x1": 0}]}, TWO),
        ("", {"instances": [[2, 1], [0, 0]]}, TWO),
        ("", {"instances": [{"x1": 2, "x2": 1}]}, ONE),
        ("", {"inputs": [[2, 1], [0, 0]]}, TWO),
        ("", {"inputs": {"x1": [2, 0], "x2": [1, 0]}}, TWO),
        ("", {"inputs": {"x1": [[2], [0]], "x2": [[1], [0]]}}, TWO),
        ("", {"inputs": {"x1": 2, "x2": 1}}, ONE),
        ("", {"instances": [[2, 1]], "params": {"temperature": 1}}, ONE),
        ("", {"instances": [[2, 1]], "parameters": {}, "params": None, "more": 1}, ONE),
        ("?pattern=line", {"instances": [1, 2]}, [{"y": 20.0}, {"y": 40.0}]),
        ("?pattern=line", {"inputs": [[1]]}, [{"y": 20.0}]),
        ("?pattern=line&version=1", {"inputs": [[1]]}, [{"y": 2.0}]),
        ("?pattern=line&label=candidate", {"inputs": [[1]]}, [{"y": 200.0}]),
        ("?pattern=fork", {"instances": [3]}, [{"up": 3.0, "down": -3.0}]),
    ],
)
async def test_every_form_is_answered_with_records(
    spoken: httpx.AsyncClient, query: str, body: Any, predictions: Any
) -> None:
    answer = await asked(spoken, body, query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert answer.json() == {"predictions": predictions}


LINES = "application/jsonlines"


@pytest.mark.parametrize(
    ("accept", "kind", "written"),
    [
        ("", LINES, '{"y1":4.0,"y2":1.0}\n{"y1":0.0,"y2":0.0}\n'),
        ("*/*", LINES, '{"y1":4.0,"y2":1.0}\n{"y1":0.0,"y2":0.0}\n'),
        (LINES, LINES, '{"y1":4.0,"y2":1.0}\n{"y1":0.0,"y2":0.0}\n'),
        (JSON, JSON, '{"predictions":[{"y1":4.0,"y2":1.0},{"y1":0.0,"y2":0.0}]}'),
        (CSV, CSV, "4.0,1.0\n0.0,0.0\n"),
    ],
)
async def test_json_lines_are_answered_line_by_line_unless_accept_wants_another(
    spoken: httpx.AsyncClient, accept: str, kind: str, written: str
) -> None:
    body = b'{"x1": 2, "x2": 1}\n{"x2": 0, "x1": 0}\n'
    answer = await asked(spoken, body, content_type=LINES, accept=accept)
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.text == written


async def test_lines_of_values_are_answered_with_lines_of_values_and_json_with_lines_of_records(
    spoken: httpx.AsyncClient,
) -> None:
    assert (await asked(spoken, b"[2, 1]\n[0, 0]", content_type=LINES)).text == "[4.0,1.0]\n[0.0,0.0]\n"
    assert (await asked(spoken, {"instances": [[2, 1]]}, accept=LINES)).text == '{"y1":4.0,"y2":1.0}\n'


def _npy(rows: list[list[float]]) -> bytes:
    np.save(file := io.BytesIO(), np.array(rows))
    return file.getvalue()


PAIRS = pl.DataFrame({"x2": [1.0, 0.0], "x1": [2.0, 0.0]})


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    write(file := io.BytesIO())
    return file.getvalue()


TYPED: dict[str, tuple[str, bytes, Callable[[bytes], list[Any]]]] = {
    "npy": (NPY, _npy([[2, 1], [0, 0]]), lambda content: np.load(io.BytesIO(content)).tolist()),
    "parquet": (PARQUET, _written(PAIRS.write_parquet), lambda content: pl.read_parquet(content).rows()),
    "stream": (ARROW, _written(PAIRS.write_ipc_stream), lambda content: pl.read_ipc_stream(content).rows()),
    "file": (ARROW_FILE, _written(PAIRS.write_ipc), lambda content: pl.read_ipc(content).rows()),
    "file as a stream": (ARROW, _written(PAIRS.write_ipc), lambda content: pl.read_ipc(content).rows()),
}


@pytest.mark.parametrize(("kind", "body", "read"), TYPED.values(), ids=TYPED)
async def test_typed_rows_are_answered_in_their_own_format_unless_accept_prefers_another(
    spoken: httpx.AsyncClient, kind: str, body: bytes, read: Callable[[bytes], list[Any]]
) -> None:
    for accept in (kind, "*/*", ""):
        answer = await asked(spoken, body, content_type=kind, accept=accept)
        assert [tuple(row) for row in read(answer.content)] == [(4.0, 1.0), (0.0, 0.0)]
        assert answer.headers["content-type"] == (ARROW_FILE if body.startswith(b"ARROW1") else kind)
    assert (await asked(spoken, body, content_type=kind, accept=JSON)).json() == {"predictions": TWO}
    assert (await asked(spoken, body, content_type=kind, accept=CSV)).text == "4.0,1.0\n0.0,0.0\n"
    assert (await asked(spoken, body, content_type=kind, accept=LINES)).text.splitlines()[1] == '{"y1":0.0,"y2":0.0}'
    assert (await asked(spoken, {"instances": [[2, 1]]}, accept=kind)).json() == {"predictions": ONE}
    assert (await asked(spoken, body[:-9], content_type=kind)).status_code == 400


async def test_typed_rows_of_a_table_are_those_of_its_records(spoken: httpx.AsyncClient) -> None:
    record = {"age": 22.5, **REST}
    expected = (await asked(spoken, {"dataframe_records": [record]}, "?pattern=passengers")).json()
    for kind, body in (
        (PARQUET, _written(pl.DataFrame([record]).write_parquet)),
        (ARROW, _written(pl.DataFrame([record]).write_ipc_stream)),
    ):
        answer = await asked(spoken, body, "?pattern=passengers", content_type=kind, accept=JSON)
        assert answer.json() == expected
        assert "x-pattern-outside" in answer.headers


async def test_a_number_that_is_not_finite_is_refused_in_an_array_too(spoken: httpx.AsyncClient) -> None:
    answer = await asked(spoken, _npy([[2, float("nan")]]), content_type=NPY)
    assert answer.status_code == 400
    assert "row 0, column x2: not a finite number" in answer.text


TYPES = "the content type must be one of application/json, application/jsonlines, text/csv, application/x-npy, "
BAD, GONE = "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("query", "body", "status", "code", "words"),
    [
        ("", b"", 400, BAD, "the body is not JSON: line 1, column 1"),
        ("", [[1, 2]], 400, BAD, "the body must be a JSON object with exactly one of dataframe_split, "),
        ("", {}, 400, BAD, "the body must be a JSON object with exactly one of"),
        ("", {"sesame": 1}, 400, BAD, "the body must be a JSON object with exactly one of"),
        ("", {"inputs": [[1, 2]], "instances": [[1, 2]]}, 400, BAD, "the body must be a JSON object with exa"),
        ("", {"inputs": [[1, 2]], "params": [1]}, 400, BAD, "params must be an object"),
        ("", {"inputs": [[1, 2]], "parameters": "sesame"}, 400, BAD, "parameters must be an object"),
        ("", {"dataframe_split": [[1, 2]]}, 400, BAD, "dataframe_split must be an object with the lists"),
        ("", {"dataframe_split": {"columns": ["x1"]}}, 400, BAD, "dataframe_split must be an object"),
        ("", {"dataframe_split": {"columns": "x", "data": [[1]]}}, 400, BAD, "dataframe_split must be"),
        ("", {"dataframe_split": {"columns": ["x1", "x2"], "data": []}}, 400, BAD, "there are no rows"),
        ("", {"dataframe_split": {"columns": ["x1", "x2"], "data": [[1]]}}, 400, BAD, "row 0: expected a li"),
        ("", {"dataframe_split": {"columns": ["x1", "x2"], "data": [1]}}, 400, BAD, "row 0: expected a list"),
        ("", {"dataframe_split": {"columns": ["x1"], "data": [[1]]}}, 400, BAD, "column x2 is missing"),
        ("", {"dataframe_split": {"columns": ["x1", "x1"], "data": [[1, 1]]}}, 400, BAD, "columns must be"),
        ("", {"dataframe_split": {"columns": [1, [2]], "data": [[1, 1]]}}, 400, BAD, "columns must be names"),
        (
            "",
            {"dataframe_split": {"columns": ["x1", "x2", "z"], "data": [[1, 1, 1]]}},
            400,
            BAD,
            "column z is not among",
        ),
        ("", {"dataframe_records": {"x1": [1], "x2": [2]}}, 400, BAD, "dataframe_records must be a list of"),
        ("", {"dataframe_records": [[1, 2]]}, 400, BAD, "dataframe_records must be a list of objects"),
        ("", {"dataframe_records": []}, 400, BAD, "there are no rows to predict"),
        ("", {"instances": [[1, "sesame"]]}, 400, BAD, "row 0, column x2: expected a number"),
        ("", b'{"instances": [[1, NaN]]}', 400, BAD, "row 0, column x2: not a finite number"),
        ("", {"instances": [[1, 1e300]]}, 400, BAD, "row 0: "),
        ("", {"instances": [[1, 2]] * 1001}, 413, BAD, "the body holds more than the limit of 1000 rows"),
        ("", {"dataframe_split": {"data": [[1, 2]] * 1001}}, 413, BAD, "the body holds more than the limit"),
        ("", b"1" * (1 << 21), 413, BAD, "the body is larger than the limit of 1048576 bytes"),
        ("?pattern=line&version=0", {"inputs": [1]}, 400, BAD, "version: Input should be greater than or eq"),
        ("?pattern=line&version=1&label=a", {"inputs": [1]}, 400, BAD, "give a version or a label, not both"),
        ("?sesame=1", {"inputs": [1]}, 400, BAD, "there is no such parameter; there are version, label, ext"),
        ("?pattern=sesame", {"inputs": [1]}, 404, GONE, "no such pattern; there are flowers, fo"),
        ("?pattern=", {"inputs": [1]}, 404, GONE, "no such pattern; there are"),
        ("?pattern=line&version=9", {"inputs": [1]}, 404, GONE, "pattern line has no such version"),
        ("?pattern=line&label=sesame", {"inputs": [1]}, 404, GONE, "pattern line has no such label"),
    ],
)
async def test_what_cannot_be_used_is_refused_in_mlflows_words(
    spoken: httpx.AsyncClient, query: str, body: Any, status: int, code: str, words: str
) -> None:
    answer = await asked(spoken, body, query)
    refusal = said(answer)
    assert (answer.status_code, refusal["error_code"]) == (status, code)
    assert refusal["message"].startswith(words)


FORMS = "the body must be a JSON object with exactly one of dataframe_split, dataframe_records, instances, inputs"
SPLIT = "dataframe_split must be an object with the lists columns and data"
RECORDS = "dataframe_records must be a list of objects"
NAMES = "columns must be names, each of them once"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([[1, 2]], f"{FORMS}, found a list of 1"),
        ({"sesame": 1}, f"{FORMS}, found none of them"),
        ({"inputs": [[1, 2]], "instances": [[1, 2]]}, f"{FORMS}, found instances and inputs"),
        ({"inputs": [[1, 2]], "params": [1]}, "params must be an object, found a list of 1"),
        ({"dataframe_split": [[1, 2]]}, f"{SPLIT}, found a list of 1"),
        ({"dataframe_split": {"columns": ["x1"]}}, f"{SPLIT}, found no data"),
        ({"dataframe_split": {"columns": "x", "data": [[1]]}}, f"{SPLIT}, found text for columns"),
        ({"dataframe_split": {"columns": ["x1", "x1"], "data": [[1, 1]]}}, f"{NAMES}, found one of them twice"),
        ({"dataframe_split": {"columns": ["x1", [2]], "data": [[1, 1]]}}, f"{NAMES}, found a list of 1"),
        ({"dataframe_split": {"columns": ["z"], "data": [[1]]}}, "columns x1, x2 are missing"),
        (
            {"dataframe_split": {"columns": ["x1", "z", "x2"], "data": [[1, 1, 1]]}},
            "column z is not among x1, x2; leave out what is not, or add ?extra=ignore to the address",
        ),
        (
            {"dataframe_split": {"columns": ["x1", "x2"], "data": [[1, 1], [1]]}},
            "row 1: expected a list of 2 values, one a column, found a list of 1",
        ),
        ({"dataframe_records": {"x1": [1], "x2": [2]}}, f"{RECORDS}, found an object"),
        ({"dataframe_records": [{"x1": 1, "x2": 2}, [1, 2]]}, f"{RECORDS}; row 1 is a list of 2"),
    ],
)
async def test_a_refusal_of_invocations_says_what_was_found(spoken: httpx.AsyncClient, body: Any, words: str) -> None:
    assert said(await asked(spoken, body))["message"] == words


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (
            {"content_type": "application/x-npz"},
            TYPES,
        ),
        ({"content_type": SESAME}, TYPES),
        ({"content_type": "text/csv; charset=latin-1"}, "the charset must be UTF-8"),
        ({"content_encoding": "gzip"}, "the body must be sent without Content-Encoding"),
    ],
)
async def test_other_types_are_refused(spoken: httpx.AsyncClient, headers: dict[str, str], words: str) -> None:
    answer = await asked(spoken, {"inputs": [[1, 2]]}, **headers)
    assert answer.status_code == 415
    assert said(answer)["error_code"] == "BAD_REQUEST"
    assert said(answer)["message"].startswith(words)


async def test_a_body_that_does_not_say_what_it_is_is_json(spoken: httpx.AsyncClient) -> None:
    answer = await asked(spoken, {"inputs": [[2, 1]]}, content_type="")
    assert answer.json() == {"predictions": ONE}


# -- CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "predictions"),
    [
        (b"x1,x2\n2,1\n0,0\n", CSV, TWO),
        (b"x2,x1\n1,2\n", "text/csv; charset=utf-8", ONE),
        (b"2,1\n0,0\n", CSV, TWO),
        (b"2,1", CSV, ONE),
        (b"\xef\xbb\xbf2.0, 1e0\r\n", CSV, ONE),
        (b"2,1\n0,0\n", "text/csv; header=absent", TWO),
        (b"x2,x1\n1,2\n", 'text/csv; Header="Present"', ONE),
    ],
)
async def test_csv_comes_with_a_header_from_mlflow_and_without_from_sagemaker(
    spoken: httpx.AsyncClient, body: bytes, content_type: str, predictions: Any
) -> None:
    answer = await asked(spoken, body, content_type=content_type, accept="*/*")
    assert answer.json() == {"predictions": predictions}


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"", CSV, "the CSV is empty"),
        (b"\n", CSV, "line 1: empty"),
        (b"2,1,3\n", CSV, "line 1: expected 2 fields, found 3"),
        (b"2,1\n3\n", CSV, "line 2: expected 2 fields, found 1"),
        (b"2,1\n3,sesame\n", CSV, "line 2, column x2: expected a number"),
        (b"sesame,sesame\n2,1\n", CSV, "line 1, column x1: expected a number"),
        (b"x1,sesame\n2,1\n", CSV, "line 1: column x2 is missing"),
        (b"x1,x2\n", CSV, "the CSV has a header and no rows"),
        (b"x1,x2\n2,1\n", "text/csv; header=absent", "line 1, column x1: expected a number"),
        (b"2,1\n", "text/csv; header=present", "line 1: columns x1, x2 are missing"),
        (b"2,1\n" * 1001, CSV, "the body holds more than the limit of 1000 rows"),
    ],
)
async def test_csv_that_is_no_rows_of_the_pattern_is_refused(
    spoken: httpx.AsyncClient, body: bytes, content_type: str, words: str
) -> None:
    assert said(await asked(spoken, body, content_type=content_type))["message"].startswith(words)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "answer"),
    [
        (b"2,1\n0,0\n", CSV, CSV, "4.0,1.0\n0.0,0.0\n"),
        (b"x2,x1\n1,2\n", CSV, "text/csv; q=0.9", "y1,y2\n4.0,1.0\n"),
        (b'{"instances": [[2, 1]]}', JSON, CSV, "4.0,1.0\n"),
        (b"2,1\n", CSV, f"{SESAME}, text/csv", "4.0,1.0\n"),
        (b"2,1\n", CSV, "application/json, text/csv", '{"predictions":[{"y1":4.0,"y2":1.0}]}'),
        (b"2,1\n", CSV, "text/csv;q=0, application/json", '{"predictions":[{"y1":4.0,"y2":1.0}]}'),
        (b"2,1\n", CSV, "text/csv;q=0, */*", '{"predictions":[{"y1":4.0,"y2":1.0}]}'),
        (b"2,1\n", CSV, "application/json;q=0.5, text/csv", "4.0,1.0\n"),
        (b"2,1\n", CSV, SESAME, '{"predictions":[{"y1":4.0,"y2":1.0}]}'),
        (b"2,1\n", CSV, "", '{"predictions":[{"y1":4.0,"y2":1.0}]}'),
    ],
)
async def test_the_answer_has_the_type_that_is_accepted(
    spoken: httpx.AsyncClient, body: bytes, content_type: str, accept: str, answer: str
) -> None:
    given = await asked(spoken, body, content_type=content_type, accept=accept)
    kind = JSON if answer.startswith("{") else CSV
    assert (given.text, given.headers["content-type"].partition(";")[0]) == (answer, kind)


async def test_a_table_is_read_from_csv_without_a_header(spoken: httpx.AsyncClient) -> None:
    expected = await outputs_of(spoken, [REST | {"age": None}], "passengers")
    answer = await asked(spoken, b",Zanzibar,true,1912-04-10,cabin\n", "?pattern=passengers", content_type=CSV)
    assert answer.json() == {"predictions": expected}


# -- which pattern -------------------------------------------------------------------------------------------------


async def test_the_only_pattern_needs_no_name(published: Store) -> None:
    async with serving(published) as client:
        assert (await asked(client, {"inputs": [1]})).json() == {"predictions": [{"y": 2.0}]}


async def test_of_several_one_must_be_named(published: Store) -> None:
    published.publish(pair())
    async with serving(published) as client:
        answer = await asked(client, {"inputs": [1]})
        assert (answer.status_code, said(answer)) == (
            400,
            {
                "error_code": "BAD_REQUEST",
                "message": "name a pattern: /invocations?pattern=..., or set PATTERNS_DEFAULT",
            },
        )
        assert (await asked(client, {"inputs": [1]}, "?pattern=line")).status_code == 200


@pytest.mark.parametrize("default", [None, "sesame"])
async def test_a_default_that_is_not_there_is_unknown(store: Store, default: str | None) -> None:
    async with serving(store, default=default) as client:
        answer = await asked(client, {"inputs": [1]})
        assert (answer.status_code, said(answer)["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


async def test_a_key_guards_predictions_and_not_what_looks_after_the_server(published: Store) -> None:
    async with serving(published, predict_key="open") as client:
        answer = await asked(client, {"inputs": [1]})
        assert (answer.status_code, said(answer)["error_code"]) == (401, "UNAUTHENTICATED")
        answer = await asked(client, {"inputs": [1]}, authorization="Bearer sesame")
        assert (answer.status_code, said(answer)["error_code"]) == (403, "PERMISSION_DENIED")
        assert (await asked(client, {"inputs": [1]}, authorization="Bearer open")).status_code == 200
        for path in ("/ping", "/health", "/version"):
            assert (await client.get(path)).status_code == 200


# -- looking after the server --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ping", "/health", "/v1/endpoints/7"])
async def test_who_asks_after_its_health_gets_an_empty_answer(spoken: httpx.AsyncClient, path: str) -> None:
    answer = await spoken.get(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_the_version_is_plain_text(spoken: httpx.AsyncClient) -> None:
    assert (await spoken.get("/version")).text == version("pattern-server")


async def test_it_is_not_healthy_before_it_has_looked_at_the_store(published: Store) -> None:
    async with client_of(an_app(published)) as client:
        for path in ("/ping", "/health"):
            answer = await client.get(path)
            assert (answer.status_code, said(answer)["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        answer = await asked(client, {"inputs": [1]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_it_is_not_healthy_when_it_is_about_to_stop(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.parts.jobs.drain()
    assert (await client.get("/ping")).status_code == 503


# -- Vertex AI -----------------------------------------------------------------------------------------------------


async def test_vertex_asks_at_addresses_that_it_has_chosen(spoken: httpx.AsyncClient) -> None:
    body = {"instances": [[2, 1], {"x1": 0, "x2": 0}][:1], "parameters": {"any": 1}}
    answer = await spoken.post("/v1/endpoints/7:predict", json=body)
    assert answer.json() == {"predictions": ONE}
    # What stands beside them is still the other protocol's.
    assert "error" in said(await spoken.get("/v1/endpoints/8"))
    assert (await spoken.get("/v1/models")).status_code == 200


async def test_vertex_may_choose_an_address_among_ours(published: Store) -> None:
    async with serving(published, health_route="/isalive", predict_route="/predict") as client:
        assert (await client.get("/isalive")).status_code == 200
        assert (await client.post("/predict", json={"instances": [1]})).json() == {"predictions": [{"y": 2.0}]}
        assert await outputs_of(client, [1]) == [2.0]
        assert "code" in (await client.get("/isalive/more")).json()["error"]


async def test_one_address_may_be_both(published: Store) -> None:
    async with serving(published, health_route="/model", predict_route="/model") as client:
        assert (await client.get("/model")).status_code == 200
        assert (await client.post("/model", json={"instances": [1]})).status_code == 200


@pytest.mark.parametrize("route", ["predict", "", "/{pattern}", "/a b", "/é", "/a?b", "/" + "a" * 600])
def test_an_address_is_a_plain_path(route: str) -> None:
    with pytest.raises(ValidationError, match="predict_route"):
        Settings(_env_file=None, predict_route=route)


async def test_health_is_answered_however_many_requests_are_under_way(published: Store) -> None:
    published.publish(line(pattern="other"))
    app = an_app(published, max_in_flight=1, health_route="/isalive")
    async with app.router.lifespan_context(app), client_of(app) as client:
        await app.state.parts.registry.refresh()

        async def body() -> Any:
            yield b'{"inputs": '
            for path in ("/ping", "/health", "/isalive"):
                assert (await client.get(path)).status_code == 200
            answer = await client.get("/version")
            assert (answer.status_code, said(answer)["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
            yield b"[1]}"

        answer = await client.post("/invocations?pattern=line", content=body(), headers={"content-type": JSON})
        assert answer.json() == {"predictions": [{"y": 2.0}]}
