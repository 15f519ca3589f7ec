"""The Open Inference Protocol over gRPC: as Triton's and KServe's clients ask, answered as over HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from app.protos import open_inference_pb2 as pb
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import in_json, infer, outputs_in, publish_all
from tests.app.grpc.calls import FIELDS, OIP, Caller, calling, f32, raw, texts, typed
from tests.app.over_http import SESAME
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork

pytestmark = pytest.mark.anyio

INFER = f"/{OIP}/ModelInfer"
PASSENGERS: list[tuple[str, str, list[int], list[Any]]] = [
    ("age", "FP32", [2], [30.0, float("nan")]),
    ("port", "BYTES", [2, 1], [b"S", b""]),
    ("crew", "BOOL", [2], [True, False]),
    ("boarded", "BYTES", [2], [b"1912-04-10", b"1912-04-11"]),
    ("note", "BYTES", [2], [b"first class", b"cabin"]),
]
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    store = Store(tmp_path_factory.mktemp("grpc") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    publish_all(store)
    async with calling(store, max_rows=1000, max_body_mb=1, log_level="warning") as caller:
        yield caller


# -- what is answered ----------------------------------------------------------------------------------------------


async def test_typed_and_raw_contents_are_answered_raw(caller: Caller) -> None:
    request = typed("pair", [("x1", "FP32", [2], [2, 0]), ("x2", "FP32", [2, 1], [1, 0])], id="42")
    response = await caller.ask(INFER, request, pb.ModelInferResponse)
    assert (response.model_name, response.model_version, response.id) == ("pair", "2", "42")
    assert [(one.name, one.datatype, list(one.shape)) for one in response.outputs] == [
        ("y1", "FP32", [2, 1]),
        ("y2", "FP32", [2, 1]),
    ]
    assert list(response.raw_output_contents) == [f32([4, 0]).tobytes(), f32([1, 0]).tobytes()]
    packed = raw("pair", {"any": f32([[2, 1], [0, 0]])})
    assert await caller.infer(packed) == {"y1": [4.0, 0.0], "y2": [1.0, 0.0]}


@pytest.mark.parametrize("datatype", sorted(set(FIELDS) - {"BOOL", "BYTES"}))
async def test_every_numeric_datatype_is_read_typed_and_raw(caller: Caller, datatype: str) -> None:
    values = np.array([[1], [2], [100]])
    assert await caller.infer(typed("line", [("x", datatype, [3, 1], [1, 2, 100])])) == {"y": [2.0, 4.0, 200.0]}
    kind = datatype.lower().replace("fp", "float")
    assert await caller.infer(raw("line", {"x": values.astype(kind)})) == {"y": [2.0, 4.0, 200.0]}


async def test_a_table_is_answered_as_over_http(caller: Caller) -> None:
    said = await infer(
        caller.http,
        "passengers",
        [
            in_json("age", "FP32", [30.0, None]),
            in_json("port", "BYTES", ["S", ""]),
            in_json("crew", "BOOL", [True, False]),
            in_json("boarded", "BYTES", ["1912-04-10", "1912-04-11"]),
            in_json("note", "BYTES", ["first class", "cabin"]),
        ],
    )
    assert await caller.infer(typed("passengers", PASSENGERS)) == outputs_in(said)
    given: dict[str, Any] = {
        "age": f32([[30], [np.nan]]),
        "port": texts("S", ""),
        "crew": np.array([[True], [False]]),
        "boarded": texts("1912-04-10", "1912-04-11"),
        "note": texts("first class", "cabin"),
    }
    assert await caller.infer(raw("passengers", given)) == outputs_in(said)
    # A column that takes missing values may be left out.
    del given["port"]
    assert len((await caller.infer(raw("passengers", given)))["survived"]) == 2


async def test_remarks_are_parameters(caller: Caller) -> None:
    given = [one if one[0] != "port" else ("port", "BYTES", [2], [b"Atlantis", b"S"]) for one in PASSENGERS]
    response = await caller.ask(INFER, typed("passengers", given), pb.ModelInferResponse)
    assert json.loads(response.parameters["outside"].string_param) == [{"row": 0, "columns": ["port"]}]


async def test_labels_keep_the_type_of_the_data_and_classes_are_scored(caller: Caller) -> None:
    request = pb.ModelInferRequest(model_name="years")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1, 2])
    [years] = (await caller.infer(request)).values()
    assert years[0] in (1999, 2000, 2001)
    output = request.outputs.add(name="species")
    output.parameters["classification"].int64_param = 2
    [classes] = (await caller.infer(request)).values()
    assert classes[0].rpartition(":")[2] == str(int(years[0]))


async def test_outputs_and_versions_are_selected(caller: Caller) -> None:
    request = raw("pair", {"x": f32([[2, 1]])}, model_version="1")
    request.outputs.add(name="y2")
    response = await caller.ask(INFER, request, pb.ModelInferResponse)
    assert response.model_version == "1"
    assert [one.name for one in response.outputs] == ["y2"]


async def test_base64_texts_are_decoded(caller: Caller) -> None:
    request = typed(
        "passengers", [one if one[0] != "port" else ("port", "BYTES", [2], [b"Uw==", b"Uw=="]) for one in PASSENGERS]
    )
    request.inputs[1].parameters["content_type"].string_param = "base64"
    response = await caller.ask(INFER, request, pb.ModelInferResponse)
    assert "outside" not in response.parameters


async def test_many_rows_are_answered_in_order(caller: Caller) -> None:
    rows = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    assert (await caller.infer(raw("pair", {"x": rows})))["y2"] == (rows[:, 0] - rows[:, 1]).tolist()


# -- what is refused -----------------------------------------------------------------------------------------------


PAIR = ("x", "FP32", [1, 2], [1.0, 2.0])


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (typed(SESAME, [PAIR]), NOT_FOUND, "no such pattern; there are flowers, fork"),
        (typed("pair", [PAIR], model_version="9"), NOT_FOUND, "version"),
        (typed("pair", []), INVALID, "inputs must hold a tensor, found none"),
        (typed("pair", [PAIR, PAIR]), INVALID, "input 2 of 2: its name is that of an input before it"),
        (typed("pair", [("x", "FP32", [1, 3], [1, 2, 3])]), INVALID, "the shape [rows, 2], found 3 columns"),
        (typed("pair", [("x", "FP32", [2, 2], [1, 2])]), INVALID, "not that of the shape, found 2"),
        (typed("pair", [("x", "FP32", [-1, 2], [1, 2])]), INVALID, "none of them negative"),
        (typed("pair", [("x", "FP32", [0, 2], [])]), INVALID, "there are no rows to predict"),
        (typed("pair", [("x", "FP32", [1, 2], [1, float("nan")])]), INVALID, "row 0, column x2"),
        (
            typed("line", [("x", "UINT8", [1], [300])]),
            INVALID,
            "element 0 of the data: a number that UINT8 cannot hold",
        ),
        (typed("line", [("x", "INT8", [1], [-129])]), INVALID, "a number that INT8 cannot hold"),
        (typed("line", [("x", "BYTES", [1], [SESAME.encode()])]), INVALID, "expected numbers"),
        (typed("line", [("x", "BYTES", [1], [b"\xff"])]), INVALID, "element 0 of BYTES is not a text in UTF-8"),
        (typed("line", [("x", "FP32", [2000], [0.0] * 2000)]), grpc.StatusCode.RESOURCE_EXHAUSTED, "1000 rows"),
        (typed("line", [("x", "FP32", [1 << 62], [1])]), INVALID, "states more elements than the data hold"),
        (
            typed("pair", [("x1", "FP32", [1], [1]), ("other", "FP32", [1], [1])]),
            INVALID,
            "send the metadata extra: ignore",
        ),
        (
            pb.ModelInferRequest(model_name="line", inputs=[{"name": "x", "datatype": SESAME, "shape": [1]}]),
            INVALID,
            "must be one of BOOL",
        ),
        (
            pb.ModelInferRequest(model_name="line", inputs=[{"name": "x", "datatype": "FP16", "shape": [1]}]),
            INVALID,
            "FP16 has no field",
        ),
        (
            pb.ModelInferRequest(
                model_name="line",
                inputs=[{"name": "x", "datatype": "FP32", "shape": [1], "contents": {"fp64_contents": [1.0]}}],
            ),
            INVALID,
            "its contents are in another field than fp32_contents",
        ),
        (
            pb.ModelInferRequest(model_name="line", raw_input_contents=[b"1"], inputs=[{"name": "x"}] * 2),
            INVALID,
            "found 1 for 2 inputs",
        ),
        (raw("line", {"x": f32([[1]])}, outputs=[{"name": SESAME}]), INVALID, "output 1 of 1 is not one of y"),
        (
            raw("line", {"x": f32([[1]])}, parameters={"shared_memory_region": {"string_param": SESAME}}),
            INVALID,
            "shared memory is not supported",
        ),
    ],
)
async def test_refusals_say_what_is_wrong(caller: Caller, asked: Any, code: grpc.StatusCode, words: str) -> None:
    found, details = await caller.refused(INFER, asked)
    assert found == code
    assert words in details


async def test_contents_beside_raw_contents_are_refused(caller: Caller) -> None:
    request = raw("line", {"x": f32([[1]])})
    request.inputs[0].contents.fp32_contents.append(1)
    assert "one of them holds its tensor" in (await caller.refused(INFER, request))[1]


async def test_extra_columns_are_ignored_on_request(caller: Caller) -> None:
    request = typed("pair", [("x1", "FP32", [1], [2]), ("x2", "FP32", [1], [1]), ("x3", "FP32", [1], [1])])
    assert (await caller.refused(INFER, request))[0] == INVALID
    assert await caller.infer(request, extra="ignore") == {"y1": [4.0], "y2": [1.0]}


async def test_streams_are_refused_clearly(caller: Caller) -> None:
    call: Any = caller.channel.stream_stream(f"/{OIP}/ModelStreamInfer")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call(iter([b""])):
            raise AssertionError("answered")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == "streams are not offered; call ModelInfer for each request"


# -- descriptions --------------------------------------------------------------------------------------------------


async def test_the_server_and_its_models_are_described_as_over_http(caller: Caller) -> None:
    async def said(method: str, **asked: Any) -> Any:
        request, kind = getattr(pb, f"{method}Request"), getattr(pb, f"{method}Response")
        return await caller.ask(f"/{OIP}/{method}", request(**asked), kind)

    assert (await said("ServerLive")).live and (await said("ServerReady")).ready
    assert list((await said("ServerMetadata")).extensions) == (await caller.http.get("/v2")).json()["extensions"]
    assert (await said("ModelReady", name="pair", version="1")).ready
    http = (await caller.http.get("/v2/models/passengers")).json()
    metadata = await said("ModelMetadata", name="passengers")
    assert [(one.name, one.datatype) for one in metadata.inputs] == [
        (one["name"], one["datatype"]) for one in http["inputs"]
    ]
    config = (await said("ModelConfig", name="passengers")).config
    assert [one.optional for one in config.input] == [
        one["optional"] for one in (await caller.http.get("/v2/models/passengers/config")).json()["input"]
    ]
    assert len((await said("RepositoryIndex")).models) == 9
    assert await caller.refused(f"/{OIP}/ModelReady", pb.ModelReadyRequest(name=SESAME))
    assert await caller.refused(f"/{OIP}/ModelMetadata", pb.ModelMetadataRequest(name="pair", version="7"))


async def test_requests_of_both_ports_are_counted_together(caller: Caller) -> None:
    async def counted() -> tuple[int, int]:
        request = pb.ModelStatisticsRequest(name="fork")
        [said] = (await caller.ask(f"/{OIP}/ModelStatistics", request, pb.ModelStatisticsResponse)).model_stats
        return said.inference_count, said.inference_stats.success.count

    before = await counted()
    await caller.infer(raw("fork", {"x": f32([[1], [2]])}))
    await infer(caller.http, "fork", [in_json("x", "FP32", [1.0])])
    assert [late - early for early, late in zip(before, await counted(), strict=True)] == [3, 2]
    metrics = (await caller.http.get("/metrics")).text
    assert f'patterns_requests_total{{method="POST",route="{INFER}",status="200"}}' in metrics
