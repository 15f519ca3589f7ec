"""Inference by the Open Inference Protocol: as Triton's, KServe's and MLServer's clients ask, and as they expect it."""

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from models_store.storage.store import Store
from tests.app.dialects.oip.requests import (
    Object,
    body_of,
    in_bytes,
    in_json,
    infer,
    numbers,
    outputs_in,
    publish_all,
    refusal,
)
from tests.app.over_http import JSON, SESAME, outputs_of, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork

pytestmark = pytest.mark.anyio

BINARY = "application/octet-stream"
X1, X2 = in_json("x1", "FP32", [2.0, 0.0]), in_json("x2", "FP32", [1.0, 0.0])
PASSENGERS = [
    in_json("age", "FP32", [30.0, None]),
    in_json("port", "BYTES", ["S", ""]),
    in_json("crew", "BOOL", [True, False]),
    in_json("boarded", "BYTES", ["1912-04-10", "1912-04-11"]),
    in_json("note", "BYTES", ["first class", "cabin"]),
]
NATIVE_PASSENGERS: list[list[Any]] = [
    [30, "S", True, "1912-04-10", "first class"],
    [None, None, False, "1912-04-11", "cabin"],
]


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client for tests that change nothing; limits are small."""
    store = Store(tmp_path_factory.mktemp("oip") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    publish_all(store)
    async with serving(store, max_rows=1000, max_body_mb=1, log_level="warning") as client:
        yield client


# -- what is answered ----------------------------------------------------------------------------------------------


async def test_a_tensor_a_column(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "pair", [X1, in_json("x2", "FP32", [[1.0], [0.0]], [2, 1])], id="42")
    assert answer.headers["content-type"] == JSON
    assert answer.json() == {
        "model_name": "pair",
        "model_version": "2",
        "id": "42",
        "outputs": [
            {"name": "y1", "datatype": "FP32", "shape": [2, 1], "data": [4.0, 0.0]},
            {"name": "y2", "datatype": "FP32", "shape": [2, 1], "data": [1.0, 0.0]},
        ],
    }


@pytest.mark.parametrize("data", [[2, 1, 0, 0], [[2, 1], [0, 0]]])
async def test_one_tensor_of_all_columns_under_any_name(client: httpx.AsyncClient, data: list[Any]) -> None:
    for name in ("x", "x1", "input-0"):
        answer = await infer(client, "pair", [in_json(name, "FP32", data, [2, 2])])
        assert outputs_in(answer) == {"y1": [4.0, 0.0], "y2": [1.0, 0.0]}


async def test_without_an_id_none_is_answered(client: httpx.AsyncClient) -> None:
    assert "id" not in (await infer(client, "pair", [X1, X2])).json()


async def test_a_version_may_be_named(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "pair/versions/1", [X1, X2])
    assert answer.json()["model_version"] == "1"


async def test_binary_in_and_out(client: httpx.AsyncClient) -> None:
    (about1, bytes1), (about2, bytes2) = (
        in_bytes("x1", "FP32", numbers([2, 0])),
        in_bytes("x2", "FP32", numbers([1, 0])),
    )
    parameters = {"binary_data_output": True}
    answer = await infer(client, "pair", [about1, about2], bytes1, bytes2, parameters=parameters)
    length = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == BINARY
    assert json.loads(answer.content[:length])["outputs"] == [
        {"name": name, "datatype": "FP32", "shape": [2, 1], "parameters": {"binary_data_size": 8}}
        for name in ("y1", "y2")
    ]
    assert answer.content[length:] == numbers([4, 0]).tobytes() + numbers([1, 0]).tobytes()


async def test_json_and_binary_may_be_mixed(client: httpx.AsyncClient) -> None:
    about, content = in_bytes("x2", "INT16", np.array([[1], [0]], dtype="<i2"))
    wanted: list[Object] = [{"name": "y2", "parameters": {"binary_data": True}}, {"name": "y1"}]
    answer = await infer(client, "pair", [X1, about], content, outputs=wanted)
    assert list(outputs_in(answer).items()) == [("y2", [1.0, 0.0]), ("y1", [4.0, 0.0])]


async def test_an_output_may_be_json_though_binary_was_asked_for_in_general(client: httpx.AsyncClient) -> None:
    wanted = [{"name": "y1", "parameters": {"binary_data": False}}]
    answer = await infer(client, "pair", [X1, X2], outputs=wanted, parameters={"binary_data_output": True})
    assert answer.json()["outputs"] == [{"name": "y1", "datatype": "FP32", "shape": [2, 1], "data": [4.0, 0.0]}]


@pytest.mark.parametrize("content_type", [None, BINARY, JSON, "text/plain", "application/x-www-form-urlencoded"])
async def test_bodies_are_read_whatever_content_type_they_say(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await infer(client, "pair", [X1, X2], headers=headers)
    assert outputs_in(answer)["y1"] == [4.0, 0.0]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_both_ways_compressed_the_header_counts_what_is_not(client: httpx.AsyncClient, encoding: str) -> None:
    about, content = in_bytes("x", "FP32", numbers([2, 1]).reshape(1, 2))
    body, headers = body_of([about], content, parameters={"binary_data_output": True})
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    headers |= {"content-encoding": encoding, "accept-encoding": encoding}
    answer = await client.post("/v2/models/pair/infer", content=packed, headers=headers)
    assert answer.headers["content-encoding"] == encoding
    assert outputs_in(answer) == {"y1": [4.0], "y2": [1.0]}  # httpx has decompressed it


async def test_parameters_that_nobody_knows_are_ignored(client: httpx.AsyncClient) -> None:
    given = {**X1, "parameters": {"content_type": "np"}}
    answer = await infer(client, "pair", [given, X2], parameters={"priority": 3, "my_own": "x"}, outputs=[])
    assert outputs_in(answer)["y1"] == [4.0, 0.0]


# -- tables and labels ---------------------------------------------------------------------------------------------


async def test_columns_of_every_kind(client: httpx.AsyncClient) -> None:
    said = await outputs_of(client, NATIVE_PASSENGERS, "passengers")
    answer = (await infer(client, "passengers", PASSENGERS)).json()["outputs"]
    expected = [label for (label,) in said]
    assert answer == [{"name": "survived", "datatype": "BYTES", "shape": [2, 1], "data": expected}]


async def test_columns_of_every_kind_in_bytes(client: httpx.AsyncClient) -> None:
    columns = [
        ("age", "FP64", np.array([30, np.nan])),
        ("port", "BYTES", np.array(["S", ""])),
        ("crew", "BOOL", np.array([True, False])),
        ("boarded", "BYTES", np.array(["1912-04-10", "1912-04-11"])),
        ("note", "BYTES", np.array(["first class", "cabin"])),
    ]
    parts = [in_bytes(*column) for column in columns]
    answer = await infer(client, "passengers", [about for about, _ in parts], *(content for _, content in parts))
    assert outputs_in(answer)["survived"] == [
        row[0] for row in await outputs_of(client, NATIVE_PASSENGERS, "passengers")
    ]


async def test_bytes_in_base64_as_mlserver_encodes_them_are_decoded(client: httpx.AsyncClient) -> None:
    texts = ["win money", "täglich", ""]
    coded = [base64.b64encode(text.encode()).decode() for text in texts]
    expected = outputs_in(await infer(client, "messages", [in_json("message", "BYTES", texts)]))
    in_base64 = {"parameters": {"content_type": "base64"}}
    given = in_json("message", "BYTES", coded, [3, 1]) | in_base64
    assert outputs_in(await infer(client, "messages", [given])) == expected
    about, content = in_bytes("message", "BYTES", np.array(coded, dtype=object))
    about["parameters"] |= in_base64["parameters"]
    assert outputs_in(await infer(client, "messages", [about], content)) == expected
    plain = in_json("message", "BYTES", texts) | {"parameters": {"content_type": "str"}}
    assert outputs_in(await infer(client, "messages", [plain])) == expected


@pytest.mark.parametrize("wrong", ["sesame!", "c2VzYW1", base64.b64encode(b"\xff").decode(), "ß"])
async def test_what_is_no_base64_of_a_text_is_refused_by_its_place(client: httpx.AsyncClient, wrong: str) -> None:
    given = in_json("message", "BYTES", ["dGVh", wrong]) | {"parameters": {"content_type": "base64"}}
    answer = await infer(client, "messages", [given])
    assert refusal(answer) == 400
    assert answer.json()["error"] == "input 1 of 1: element 1 is not the base64 of a text in UTF-8"


async def test_an_unseen_category_is_said_in_the_parameters_and_a_header(client: httpx.AsyncClient) -> None:
    rows = [in_json("rooms", "INT64", [1, 2]), in_json("district", "BYTES", ["north", "Atlantis"])]
    answer = await infer(client, "rents", rows)
    said = [{"row": 1, "columns": ["district"]}]
    assert {name: json.loads(value) for name, value in answer.json()["parameters"].items()} == {"outside": said}
    assert json.loads(answer.headers["x-pattern-outside"]) == said
    known = [in_json("rooms", "INT64", [1]), in_json("district", "BYTES", ["north"])]
    assert "parameters" not in (await infer(client, "rents", known)).json()


async def test_a_column_that_takes_missing_values_may_be_left_out(client: httpx.AsyncClient) -> None:
    rows = [[None, None, *rest] for _, _, *rest in NATIVE_PASSENGERS]
    answer = await infer(client, "passengers", PASSENGERS[2:])
    assert outputs_in(answer)["survived"] == [row[0] for row in await outputs_of(client, rows, "passengers")]


async def test_labels_answer_in_the_datatype_that_the_metadata_say(client: httpx.AsyncClient) -> None:
    asked: dict[str, list[Object]] = {
        "flowers": [in_json("x", "FP32", [1.5, 0.25], [1, 2])],
        "years": [in_json("x", "FP32", [1.5, 0.25], [1, 2])],
        "messages": [in_json("message", "BYTES", ["tea"])],
    }
    found = {}
    for model, inputs in asked.items():
        (output,) = (await infer(client, model, inputs)).json()["outputs"]
        (described,) = (await client.get(f"/v2/models/{model}")).json()["outputs"]
        assert output["datatype"] == described["datatype"]
        found[model] = (output["datatype"], output["data"])
    assert found == {"flowers": ("BYTES", ["virginica"]), "years": ("INT64", [2001]), "messages": ("BOOL", [True])}


async def test_the_best_classes_with_their_scores(client: httpx.AsyncClient) -> None:
    wanted = [{"name": "species", "parameters": {"classification": 2}}]
    answer = await infer(client, "flowers", [in_json("x", "FP32", [1.5, 0.25, 5, 2], [2, 2])], outputs=wanted)
    native = await client.post(
        "/predict/flowers?probabilities=true", json={"inputs": [[1.5, 0.25], [5, 2]]}, headers={"content-type": JSON}
    )
    labels = ["setosa", "versicolor", "virginica"]
    expected = []
    for (likely,) in native.json()["probabilities"]:
        best = sorted(likely, key=likely.__getitem__, reverse=True)[:2]
        expected += [f"{np.float32(likely[label])!s}:{labels.index(label)}:{label}" for label in best]
    assert answer.json()["outputs"] == [{"name": "species", "datatype": "BYTES", "shape": [2, 2], "data": expected}]


async def test_more_classes_than_there_are_are_all_of_them(client: httpx.AsyncClient) -> None:
    wanted = [{"name": "species", "parameters": {"classification": 9}}]
    answer = await infer(client, "flowers", [in_json("x", "FP32", [1.5, 0.25], [1, 2])], outputs=wanted)
    assert answer.json()["outputs"][0]["shape"] == [1, 3]


async def test_a_number_is_the_only_class_of_its_output(client: httpx.AsyncClient) -> None:
    wanted = [{"name": "y1", "parameters": {"classification": 3}}]
    assert outputs_in(await infer(client, "pair", [X1, X2], outputs=wanted)) == {"y1": ["4.0:0", "0.0:0"]}


# -- what is refused -----------------------------------------------------------------------------------------------

NAN = float("nan")
REFUSED: dict[str, Object] = {
    "no inputs": {},
    "inputs that are none": {"inputs": []},
    "inputs that are no list": {"inputs": {"x1": [1]}},
    "an input that is no object": {"inputs": [1]},
    "an input without a name": {"inputs": [{"datatype": "FP32", "shape": [1], "data": [1]}]},
    "an input without a shape": {"inputs": [{"name": "x1", "datatype": "FP32", "data": [1]}, X2]},
    "an input without a datatype": {"inputs": [{"name": "x1", "shape": [2], "data": [1, 2]}, X2]},
    "an input without data": {"inputs": [{"name": "x1", "datatype": "FP32", "shape": [2]}, X2]},
    "a missing input": {"inputs": [X1]},
    "an unknown input": {"inputs": [X1, X2, in_json("other", "FP32", [1, 2])]},
    "an unknown input alone": {"inputs": [in_json("other", "FP32", [1, 2])]},
    "an input twice": {"inputs": [X1, X2, X1]},
    "an unknown output": {"inputs": [X1, X2], "outputs": [{"name": SESAME}]},
    "an output twice": {"inputs": [X1, X2], "outputs": [{"name": "y1"}, {"name": "y1"}]},
    "outputs that are no list": {"inputs": [X1, X2], "outputs": "y1"},
    "an unknown datatype": {"inputs": [in_json("x1", "FP8", [1, 2]), X2]},
    "too few elements": {"inputs": [in_json("x1", "FP32", [1], [2]), X2]},
    "too many elements": {"inputs": [in_json("x1", "FP32", [1, 2, 3], [2]), X2]},
    "a negative shape": {"inputs": [in_json("x1", "FP32", [1, 2], [-2]), X2]},
    "two negative sizes": {"inputs": [in_json("x1", "FP32", [1, 2], [-2, -1]), X2]},
    "a huge shape": {"inputs": [in_json("x1", "FP32", [1, 2], [2**62]), X2]},
    "a shape beyond 64 bits": {"inputs": [in_json("x1", "FP32", [1, 2], [2**70, 2**70]), X2]},
    "a shape of three": {"inputs": [in_json("x1", "FP32", [1, 2], [2, 1, 1]), X2]},
    "a shape of none": {"inputs": [{**X1, "shape": []}, X2]},
    "a shape of fractions": {"inputs": [{**X1, "shape": [2.0]}, X2]},
    "no columns of very many rows": {"inputs": [in_json("x", "FP32", [], [2**63, 0])]},
    "no columns, nested": {"inputs": [in_json("x", "FP32", [[], []], [2, 0])]},
    "no rows": {"inputs": [{**X1, "shape": [0], "data": []}, {**X2, "shape": [0], "data": []}]},
    "columns of different length": {"inputs": [X1, in_json("x2", "FP32", [1])]},
    "two columns in one of two tensors": {"inputs": [in_json("x1", "FP32", [1] * 4, [2, 2]), X2]},
    "too many columns": {"inputs": [in_json("x", "FP32", [1] * 3, [1, 3])]},
    "FP16 in JSON": {"inputs": [in_json("x1", "FP16", [1, 2]), X2]},
    "a text for a number": {"inputs": [in_json("x1", "BYTES", ["1", "2"]), X2]},
    "null for a number": {"inputs": [in_json("x1", "FP32", [None, 2]), X2]},
    "a number in quotes": {"inputs": [in_json("x1", "FP32", ["1", "2"]), X2]},
    "NaN in JSON": {"inputs": [in_json("x1", "FP32", [NAN, 1]), X2]},
    "Infinity in JSON": {"inputs": [in_json("x1", "FP32", [float("inf"), 1]), X2]},
    "an answer beyond float32": {"inputs": [in_json("x1", "FP64", [1e300, 1]), X2]},
    "an answer just beyond float32": {"inputs": [in_json("x1", "FP64", [3.0e38, 1]), in_json("x2", "FP64", [3e38, 1])]},
    "binary data that are not there": {"inputs": [{**X1, "parameters": {"binary_data_size": 8}}, X2]},
    "a size that is no number": {"inputs": [{**X1, "parameters": {"binary_data_size": "8"}}, X2]},
    "shared memory": {"inputs": [{**X1, "parameters": {"shared_memory_region": "a"}}, X2]},
    "triton's own parameters": {"inputs": [X1, X2], "parameters": {"triton_enable_empty_final_response": True}},
    "triton's own parameters of an input": {"inputs": [{**X1, "parameters": {"triton_x": 1}}, X2]},
    "parameters that are no object": {"inputs": [X1, X2], "parameters": [1]},
    "a flag that is none": {"inputs": [X1, X2], "parameters": {"binary_data_output": 1}},
    "no classes": {"inputs": [X1, X2], "outputs": [{"name": "y1", "parameters": {"classification": 0}}]},
    "half a class": {"inputs": [X1, X2], "outputs": [{"name": "y1", "parameters": {"classification": 0.5}}]},
    "an id that is no string": {"inputs": [X1, X2], "id": 42},
    "an id that is no text": {"inputs": [X1, X2], "id": "\ud800"},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_what_makes_no_sense_is_refused(client: httpx.AsyncClient, body: Object) -> None:
    assert refusal(await client.post("/v2/models/pair/infer", content=json.dumps(body))) == 400


SAID: dict[str, str] = {
    "inputs that are no list": "inputs must be a list of objects, found an object",
    "an input that is no object": "each of inputs must be an object, found a number",
    "an input without a name": "input 1 of 1: inputs and outputs must have a name, which is a string, found none",
    "an input without data": "input 1 of 2: it has neither data nor binary_data_size",
    "an unknown input": "column other is not among x1, x2; leave out what is not, or add ?extra=ignore to the address",
    "an input twice": "input 3 of 3: its name is that of an input before it",
    "an unknown output": "output 1 of 1 is not one of y1, y2",
    "an output twice": "output y1 is asked for twice",
    "too few elements": "input 1 of 2: the shape states more elements than the data hold",
    "too many elements": "input 1 of 2: the number of elements is not that of the shape, found 3",
    "a shape of three": "input 1 of 2: the shape must be [rows], [rows, 1] or [rows, columns], found a list of 3",
    "columns of different length": "the inputs must have the same number of rows, found 1 to 2",
    "two columns in one of two tensors": (
        "column x1: a tensor of one column must have the shape [rows] or [rows, 1], found 2 columns"
    ),
    "too many columns": ("a tensor of all columns must have the shape [rows, 2], found 3 columns; they are x1, x2"),
    "a text for a number": "column x1: expected numbers, found BYTES or null",
    "a number in quotes": "input 1 of 2: element 0 of the data: expected FP32, found text",
    "binary data that are not there": (
        "input 1 of 2: binary_data_size must be a number of bytes, of which the body has 0 left, found another number"
    ),
    "a size that is no number": (
        "input 1 of 2: binary_data_size must be a number of bytes, of which the body has 0 left, found text"
    ),
    "parameters that are no object": "parameters must be an object, found a list of 1",
    "a flag that is none": "binary_data_output must be true or false, found a number",
    "no classes": "classification must be the number of classes that are wanted, at least 1, found a number below 1",
    "an id that is no string": "id must be a string, found a number",
    "an id that is no text": "id must be a string, found half of a surrogate pair",
}


@pytest.mark.parametrize("case", SAID)
async def test_a_refusal_of_inference_says_what_was_found(client: httpx.AsyncClient, case: str) -> None:
    answer = await client.post("/v2/models/pair/infer", content=json.dumps(REFUSED[case]))
    assert answer.json()["error"] == SAID[case]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"1", b'"sesame"', b"\xff", b'{"inputs":[],"inputs":[]}', b"[" * 5000]
)
async def test_what_is_no_request_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    assert refusal(await client.post("/v2/models/pair/infer", content=content)) == 400


@pytest.mark.parametrize("size", [4, 7, 9, 16, -1])
async def test_a_binary_size_that_does_not_fit_is_refused(client: httpx.AsyncClient, size: int) -> None:
    about, content = in_bytes("x1", "FP32", numbers([2, 0]))
    about["parameters"]["binary_data_size"] = size
    assert refusal(await infer(client, "pair", [about, X2], content)) == 400


@pytest.mark.parametrize("shape", [[0], [0, 2], [2, 0], [0, 2**63], [2**63, 0]])
async def test_a_shape_with_nothing_in_it_is_no_rows(client: httpx.AsyncClient, shape: list[int]) -> None:
    about = {"name": "x", "datatype": "FP32", "shape": shape}
    for answer in (
        await infer(client, "pair", [{**about, "data": []}]),
        await infer(client, "pair", [{**about, "parameters": {"binary_data_size": 0}}]),
    ):
        assert (refusal(answer), answer.json()["error"]) == (400, "input 1 of 1: there are no rows to predict")


async def test_all_missing_inputs_are_named_at_once(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "passengers", PASSENGERS[:2])
    assert refusal(answer) == 400
    assert answer.json()["error"] == "columns crew, boarded, note are missing"
    answer = await infer(client, "pair", [X1])
    assert answer.json()["error"] == "column x2 is missing"


async def test_data_and_binary_data_together_are_refused(client: httpx.AsyncClient) -> None:
    about, content = in_bytes("x1", "FP32", numbers([2, 0]))
    assert refusal(await infer(client, "pair", [{**about, "data": [2, 0]}, X2], content)) == 400


async def test_bytes_that_nobody_claims_are_refused(client: httpx.AsyncClient) -> None:
    assert refusal(await infer(client, "pair", [X1, X2], b"more")) == 400


@pytest.mark.parametrize("length", ["100000", "9" * 5000, "-1", "x", "0", "1.5", "²"])
async def test_a_header_length_that_does_not_fit_is_refused(client: httpx.AsyncClient, length: str) -> None:
    headers = [(b"inference-header-content-length", length.encode())]
    content, _ = body_of([X1, X2])
    assert refusal(await client.post("/v2/models/pair/infer", content=content, headers=headers)) == 400


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
async def test_a_number_that_is_none_is_refused_where_training_saw_none(
    client: httpx.AsyncClient, value: float
) -> None:
    about, content = in_bytes("x", "FP32", np.array([[2, value]], dtype="<f4"))
    answer = await infer(client, "pair", [about], content)
    assert refusal(answer) == 400
    assert answer.json()["error"] == "row 0, column x2: not a finite number"


async def test_a_refusal_in_a_table_names_row_and_column(client: httpx.AsyncClient) -> None:
    wrong = [*PASSENGERS[:3], in_json("boarded", "BYTES", ["1912-04-10", SESAME]), PASSENGERS[4]]
    answer = await infer(client, "passengers", wrong)
    assert refusal(answer) == 400
    assert answer.json()["error"].startswith("row 1, column boarded: expected a date such as ")


async def test_too_many_rows_and_bytes_are_refused_as_such(client: httpx.AsyncClient) -> None:
    about, content = in_bytes("x", "FP32", np.zeros((1001, 2), dtype="<f4"))
    assert refusal(await infer(client, "pair", [about], content)) == 413
    assert refusal(await infer(client, "pair", [in_json("x", "FP32", [0] * 2002, [1001, 2])])) == 413
    nothing, empty = in_bytes("message", "BYTES", np.full(1001, ""))
    assert refusal(await infer(client, "messages", [nothing], empty)) == 413
    assert refusal(await client.post("/v2/models/pair/infer", content=b" " * (1 << 21))) == 413


async def test_lists_beyond_the_rows_that_are_allowed_are_not_even_built(client: httpx.AsyncClient) -> None:
    body = b'{"inputs":[' + b"[]," * 100_000 + b"[]]}"
    assert refusal(await client.post("/v2/models/pair/infer", content=body)) == 413


async def test_what_unpacks_to_too_much_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-encoding": "gzip"}
    bomb = gzip.compress(b" " * (1 << 24))
    assert refusal(await client.post("/v2/models/pair/infer", content=bomb, headers=headers)) == 413
    assert refusal(await client.post("/v2/models/pair/infer", content=b"{}", headers=headers)) == 400
    assert refusal(await client.post("/v2/models/pair/infer", content=b"", headers={"content-encoding": "br"})) == 415


@pytest.mark.parametrize("model", ["nothing", "pair/versions/3", "pair/versions/x", "pair/versions/01", "stats"])
async def test_what_there_is_not_is_404(client: httpx.AsyncClient, model: str) -> None:
    assert refusal(await infer(client, model, [X1, X2])) == 404


@pytest.mark.parametrize("twice", [b',"name":"y"', b',"parameters":{"a:b":":","c":1,"c":1}'])
async def test_a_key_twice_is_refused_also_in_a_long_body(client: httpx.AsyncClient, twice: bytes) -> None:
    def body(more: bytes) -> bytes:
        zeros = b", ".join([b"0.00"] * 2000)
        return b'{"inputs":[{"name":"x","shape":[1000,2],"datatype":"FP32","data":[%s]%s}]}' % (zeros, more)

    assert (await client.post("/v2/models/pair/infer", content=body(b',"parameters":{"a:b":":"}'))).is_success
    answer = await client.post("/v2/models/pair/infer", content=body(twice))
    assert (refusal(answer), answer.json()["error"]) == (400, "the JSON has the same key twice in one object")


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1e400", "9" * 30])
async def test_a_number_beyond_64_bits_is_answered_alike_in_a_short_and_in_a_long_body(
    client: httpx.AsyncClient, number: str
) -> None:
    for model, columns in (("pair", ("x1", "x2")), ("rents", ("rooms", "district"))):
        inputs = ", ".join(
            f'{{"name": "{name}", "datatype": "INT64", "shape": [1], "data": [{number}]}}' for name in columns
        )
        body = f'{{"inputs": [{inputs}]}}'
        address = f"/v2/models/{model}/infer"
        short, long = [await client.post(address, content=content) for content in (body, body + " " * (1 << 13))]
        assert (short.status_code, short.text) == (long.status_code, long.text)
