"""Any legal request of the Open Inference Protocol is answered as the native API does; no other makes it fail."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store.storage.store import Store
from tests.app.dialects.oip.requests import Object, body_of, in_bytes, in_json, outputs_in, publish_all, refusal
from tests.app.over_http import serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork

pytestmark = pytest.mark.anyio

INTEGERS = ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"]
FLOATS = ["FP32", "FP64"]
COLUMNS = {"pair": ["x1", "x2"], "fork": ["x"], "passengers": ["age", "port", "crew", "boarded", "note"]}
OUTPUTS = {"pair": ["y1", "y2"], "fork": ["up", "down"], "passengers": ["survived"]}


@dataclass(frozen=True)
class Asked:
    """A request, and the rows that it means as the native API takes them."""

    model: str
    rows: list[list[Any]]
    inputs: list[Object] = field(default_factory=list)
    binary: list[bytes] = field(default_factory=list)
    more: Object = field(default_factory=dict)

    @property
    def body(self) -> tuple[bytes, dict[str, str]]:
        return body_of(self.inputs, *self.binary, **self.more)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    store = Store(tmp_path_factory.mktemp("oip") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    publish_all(store)
    async with serving(store, max_rows=100, max_body_mb=1, log_level="warning") as client:
        yield client


# -- requests ------------------------------------------------------------------------------------------------------

single = st.floats(-1000, 1000, width=32)


@st.composite
def numbers_of(draw: st.DrawFn, datatype: str, size: int) -> list[Any]:
    """Values that the datatype holds as they are."""
    if datatype == "BOOL":
        cell: st.SearchStrategy[Any] = st.booleans()
    elif datatype in INTEGERS:
        cell = st.integers(0 if datatype.startswith("U") else -100, 100)
    elif datatype == "FP16":
        cell = st.integers(-64, 64).map(lambda number: number / 4)
    else:
        cell = single
    return draw(st.lists(cell, min_size=size, max_size=size))


@st.composite
def tensors_of(draw: st.DrawFn, name: str, width: int, n_rows: int) -> tuple[Object, bytes | None, list[Any]]:
    """A tensor of numbers, its bytes if it has some, and its values."""
    is_binary = draw(st.booleans())
    datatype = draw(st.sampled_from(["BOOL", *INTEGERS, *FLOATS, *(["FP16"] if is_binary else [])]))
    values = draw(numbers_of(datatype, n_rows * width))
    shape = draw(st.sampled_from([[n_rows], [n_rows, 1]] if width == 1 else [[n_rows, width]]))
    if is_binary:
        kinds = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
        kind = kinds.get(datatype) or f"<{'u' if datatype[0] == 'U' else 'i'}{int(datatype.strip('UINT')) // 8}"
        about, content = in_bytes(name, datatype, np.array(values, dtype=kind).reshape(shape))
        return about, content, values
    is_nested = draw(st.booleans())
    nested = [values[start : start + width] for start in range(0, len(values), width)]
    return in_json(name, datatype, nested if is_nested else values, shape), None, values


@st.composite
def wanted_of(draw: st.DrawFn, model: str) -> Object:
    more: Object = {}
    if draw(st.booleans()):
        flags = st.sampled_from([{}, {"parameters": {"binary_data": True}}, {"parameters": {"binary_data": False}}])
        names = draw(st.lists(st.sampled_from(OUTPUTS[model]), unique=True, min_size=1))
        more["outputs"] = [{"name": name, **draw(flags)} for name in names]
    if draw(st.booleans()):
        more["parameters"] = {"binary_data_output": draw(st.booleans()), "somebody_else": 1}
    if draw(st.booleans()):
        more["id"] = draw(st.text(alphabet=st.characters(codec="utf-8"), max_size=5))
    return more


@st.composite
def of_numbers(draw: st.DrawFn) -> Asked:
    model = draw(st.sampled_from(["pair", "fork"]))
    names, n_rows = COLUMNS[model], draw(st.integers(1, 5))
    asked = Asked(model, [[] for _ in range(n_rows)], more=draw(wanted_of(model)))
    is_packed = draw(st.booleans())
    columns = [("anything", len(names))] if is_packed else [(name, 1) for name in names]
    tensors = [draw(tensors_of(name, width, n_rows)) for name, width in columns]
    for (_, width), (_, _, values) in zip(columns, tensors, strict=True):
        for row, start in zip(asked.rows, range(0, len(values), width), strict=True):
            row += [float(value) for value in values[start : start + width]]
    for about, content, _ in draw(st.permutations(tensors)):
        asked.inputs.append(about)
        asked.binary.extend([] if content is None else [content])
    return asked


dates = st.dates().map(lambda day: day.isoformat())
notes = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
passenger = st.tuples(
    st.none() | single, st.sampled_from([None, "S", "C", "X", "3"]), st.booleans(), dates, notes.filter(bool)
)
AS_BYTES: list[tuple[str, Any]] = [("FP32", np.nan), ("BYTES", ""), ("BOOL", None), ("BYTES", None), ("BYTES", None)]


@st.composite
def of_a_table(draw: st.DrawFn) -> Asked:
    rows = [list(row) for row in draw(st.lists(passenger, min_size=1, max_size=5))]
    asked = Asked("passengers", rows, more=draw(wanted_of("passengers")))
    for name, column, (datatype, missing) in zip(COLUMNS["passengers"], zip(*rows, strict=True), AS_BYTES, strict=True):
        if draw(st.booleans()):
            asked.inputs.append(in_json(name, datatype, column))
            continue
        kind: Any = {"FP32": "<f4", "BOOL": "?"}.get(datatype, object)
        values = np.array([missing if cell is None else cell for cell in column], dtype=kind)
        about, content = in_bytes(name, datatype, values.reshape(-1, 1))
        asked.inputs.append(about)
        asked.binary.append(content)
    return asked


requests = of_numbers() | of_a_table()


# -- what holds of them --------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(requests)
async def test_a_legal_request_is_answered_as_the_native_api_does(client: httpx.AsyncClient, asked: Asked) -> None:
    content, headers = asked.body
    said = outputs_in(await client.post(f"/v2/models/{asked.model}/infer", content=content, headers=headers))
    native = await client.post(f"/predict/{asked.model}", json={"inputs": asked.rows})
    assert native.status_code == 200, native.text
    columns = dict(zip(OUTPUTS[asked.model], zip(*native.json()["outputs"], strict=True), strict=True))
    wanted = [output["name"] for output in asked.more.get("outputs", [])] or OUTPUTS[asked.model]
    assert list(said) == wanted
    for name in wanted:
        if asked.model == "passengers":
            assert said[name] == list(columns[name])
        else:
            assert np.array(said[name], dtype="<f4").tolist() == np.array(columns[name], dtype="<f4").tolist()


PIECES = [b"", b"[", b"]", b"{", b"}", b",", b'"', b"-", b"9", b"null", b"\xff"]
wounds = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.sampled_from(PIECES)), max_size=3)


@settings(max_examples=150)
@given(requests, wounds, st.floats(0, 1.2), st.sampled_from([0, 0, 1, -1, 4, 1000]))
async def test_a_spoiled_request_is_answered_or_refused_in_shape(
    client: httpx.AsyncClient, asked: Asked, wounds: list[tuple[float, int, bytes]], kept: float, off: int
) -> None:
    content, headers = asked.body
    spoiled = bytearray(content)
    for where, size, piece in wounds:
        place = int(where * len(spoiled))
        spoiled[place : place + size] = piece
    length = "inference-header-content-length"
    changed = {name: str(int(value) + off) for name, value in headers.items() if name == length}
    path = f"/v2/models/{asked.model}/infer"
    answer = await client.post(path, content=bytes(spoiled[: int(kept * len(spoiled))]), headers=changed)
    if answer.status_code != 200:
        assert refusal(answer) in (400, 413)
    assert b"NaN" not in answer.content and b"Infinity" not in answer.content
