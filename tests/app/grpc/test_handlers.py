"""What all methods of the gRPC port have in common: keys, limits, faults, health and reflection."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2

from app.main import PatternServer
from app.parts import parts_of
from app.protos import open_inference_pb2 as pb
from app.protos import tensorflow_pb2 as tf
from app.protos import tensorflow_serving_pb2 as serving_pb
from app.protos.health_pb2 import HealthCheckRequest, HealthCheckResponse
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import publish_all
from tests.app.grpc.calls import MODEL, OIP, PREDICTION, Caller, calling, f32, raw, typed
from tests.app.over_http import SESAME
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line

pytestmark = pytest.mark.anyio

INFER = f"/{OIP}/ModelInfer"
ONE = raw("line", {"x": f32([[4]])})
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
KEYS = {"admin_key": "admin", "predict_key": "predict"}
# As many as this suite has time for; more of them were looked at once, for each method.
MUTATIONS = 1500


@pytest.fixture
def published(store: Store) -> Store:
    store.publish(line())
    return store


@pytest.fixture(scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    store = Store(tmp_path_factory.mktemp("grpc") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    publish_all(store)
    async with calling(store, max_rows=1000, max_body_mb=1, log_level="error") as caller:
        yield caller


# -- keys ----------------------------------------------------------------------------------------------------------


async def test_keys_are_metadata(published: Store) -> None:
    async with calling(published, **KEYS) as caller:
        assert await caller.refused(INFER, ONE) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "a key is needed: Authorization: Bearer <key>",
        )
        denied, _ = await caller.refused(INFER, ONE, authorization=f"Bearer {SESAME}")
        assert denied == grpc.StatusCode.PERMISSION_DENIED
        for key in KEYS.values():
            assert await caller.infer(ONE, authorization=f"Bearer {key}") == {"y": [8.0]}
        unload = pb.RepositoryModelUnloadRequest(model_name="line")
        path = f"/{OIP}/RepositoryModelUnload"
        assert (await caller.refused(path, unload, authorization="Bearer predict"))[0] == denied
        # Descriptions and probes need none.
        await caller.ask(f"/{OIP}/ModelMetadata", pb.ModelMetadataRequest(name="line"), pb.ModelMetadataResponse)
        await caller.ask(CHECK, HealthCheckRequest(), HealthCheckResponse)


async def test_a_key_is_looked_at_before_the_message_is_there(published: Store) -> None:
    async with calling(published, **KEYS) as caller:
        call: Any = caller.channel.stream_unary(INFER)()
        async with asyncio.timeout(10):  # no message is sent
            assert await call.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_models_are_unloaded_and_loaded(published: Store) -> None:
    async with calling(published) as caller:
        unload = pb.RepositoryModelUnloadRequest(model_name="line")
        await caller.ask(f"/{OIP}/RepositoryModelUnload", unload, pb.RepositoryModelUnloadResponse)
        code, details = await caller.refused(INFER, ONE)
        assert code == grpc.StatusCode.UNAVAILABLE and "was unloaded" in details
        ready = pb.ModelReadyRequest(name="line")
        assert not (await caller.ask(f"/{OIP}/ModelReady", ready, pb.ModelReadyResponse)).ready
        status = serving_pb.GetModelStatusRequest(model_spec={"name": "line"})
        assert (await caller.refused(f"/{MODEL}/GetModelStatus", status))[0] == grpc.StatusCode.UNAVAILABLE
        load = pb.RepositoryModelLoadRequest(model_name="line")
        await caller.ask(f"/{OIP}/RepositoryModelLoad", load, pb.RepositoryModelLoadResponse)
        assert await caller.infer(ONE) == {"y": [8.0]}
        load.parameters["config"].string_param = SESAME
        assert (await caller.refused(f"/{OIP}/RepositoryModelLoad", load))[0] == grpc.StatusCode.INVALID_ARGUMENT


# -- limits --------------------------------------------------------------------------------------------------------


async def test_too_large_a_message_is_refused(caller: Caller) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.bytes_of(INFER, bytes(2 << 20))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("empty", [b"\x2a\x00", b"\x2a\x02\x22\x00", b"\x22\x00"])
async def test_a_message_of_many_small_fields_is_refused_before_it_is_parsed(caller: Caller, empty: bytes) -> None:
    code, details = await caller.refused(INFER, empty * 100_000)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("the message has more than 20000 fields")


async def test_many_examples_and_texts_are_not_too_many_fields(caller: Caller) -> None:
    features = {"x": {"float_list": {"value": [1.0]}}}
    examples = [{"features": {"feature": features}}] * 1000
    request = serving_pb.RegressionRequest(model_spec={"name": "line"}, input={"example_list": {"examples": examples}})
    answer = await caller.ask(f"/{PREDICTION}/Regress", request, serving_pb.RegressionResponse)
    assert [one.value for one in answer.result.regressions] == [2.0] * 1000
    texts = [b"third class cabin, with many words of no use at all"] * 1000
    names = {"port": [b"S"] * 1000, "boarded": [b"1912-04-10"] * 1000, "note": texts}
    inputs = [(name, "BYTES", [1000], cells) for name, cells in names.items()]
    answers = await caller.infer(typed("passengers", [*inputs, ("crew", "BOOL", [1000], [True] * 1000)]))
    assert len(answers["survived"]) == 1000


async def test_requests_of_both_ports_share_one_limit(published: Store) -> None:
    async with calling(published, max_in_flight=4) as caller:
        app: PatternServer = caller.app
        app.front.under_way = 4
        code, _ = await caller.refused(INFER, ONE)
        assert code == grpc.StatusCode.UNAVAILABLE
        assert (await caller.ask(f"/{OIP}/ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse)).live
        app.front.under_way = 0
        assert await caller.infer(ONE) == {"y": [8.0]}
        assert app.front.under_way == 0


async def test_a_message_that_does_not_come_is_not_waited_for(published: Store) -> None:
    async with calling(published, body_seconds=0.1) as caller:
        call: Any = caller.channel.stream_unary(INFER)()
        async with asyncio.timeout(10):
            assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert await call.details() == "no message came within 0.1 s"


async def test_requests_of_a_moment_share_a_call(caller: Caller) -> None:
    async def counted() -> int:
        request = pb.ModelStatisticsRequest(name="line")
        [said] = (await caller.ask(f"/{OIP}/ModelStatistics", request, pb.ModelStatisticsResponse)).model_stats
        return int(said.execution_count)

    async def calls_of_a_moment() -> int:
        before = await counted()
        asked = [asyncio.create_task(caller.infer(raw("line", {"x": f32([[n]])}))) for n in range(64)]
        # The loop does nothing else until most have come.
        asyncio.get_running_loop().call_soon(time.sleep, 0.1)
        assert await asyncio.gather(*asked) == [{"y": [2.0 * n]} for n in range(64)]
        return await counted() - before

    # How messages come is for threads of gRPC to say: in one moment of ten or so, one by one.
    moments = [await calls_of_a_moment()]
    while moments[-1] == 64 and len(moments) < 20:
        moments.append(await calls_of_a_moment())
    assert moments[-1] < 64


async def test_the_request_id_is_that_of_the_client(caller: Caller) -> None:
    call: Any = caller.channel.unary_unary(INFER)(ONE.SerializeToString(), metadata=[("x-request-id", "mine-1")])
    await call
    said = dict(await call.trailing_metadata() or ())
    assert (said["x-request-id"], said["x-pattern-version"]) == ("mine-1", "1")


async def test_outcomes_can_name_a_call(published: Store) -> None:
    async with calling(published, remembered_requests=10) as caller:
        await caller.infer(ONE, **{"x-request-id": "mine-2"})
        outcomes = {"request_id": "mine-2", "outcomes": [8]}
        told = (await caller.http.post("/patterns/line/outcomes", json=outcomes)).json()
    assert (told["added"], told["outcomes"]["value"]) == (1, 0)


# -- faults --------------------------------------------------------------------------------------------------------


async def test_a_fault_of_the_server_tells_nothing_of_itself(published: Store) -> None:
    async with calling(published, log_level="error") as caller:
        registry = parts_of(caller.app).registry
        registry.release = None  # type: ignore[method-assign, assignment]  # a fault
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await caller.infer(ONE)
    assert failed.value.code() == grpc.StatusCode.UNKNOWN
    assert failed.value.details() == "the server has a fault here; its log says more under this request id"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a message with some bytes changed, left out, repeated or put in."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if place < len(changed):
                changed[place] = rng.randrange(256)
            case 1:
                del changed[place : place + rng.randrange(1, 9)]
            case 2:
                changed[place:place] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                changed[place:place] = changed[place : place + rng.randrange(1, 40)]
            case _ if place < len(changed):
                changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def legal() -> dict[str, list[Message]]:
    """Return messages that are answered, by method."""
    x1 = tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape={"dim": [{"size": 2}]}, float_val=[1, 2])
    spec = {"name": "flowers"}
    example: dict[str, Any] = {"features": {"feature": {"length": {"float_list": {"value": [1.0]}}}}}
    return {
        INFER: [
            raw("pair", {"x1": f32([[1]]), "x2": np.array([[2]])}, parameters={"a": {"int64_param": 1}}),
            typed("line", [("x", "INT8", [2, 1], [1, 2])], outputs=[{"name": "y"}]),
            typed("passengers", [("crew", "BOOL", [1], [True]), ("port", "BYTES", [1], [b"S"])]),
        ],
        f"/{PREDICTION}/Predict": [
            serving_pb.PredictRequest(model_spec={"name": "pair", "version": {"value": 2}}, inputs={"x1": x1, "x2": x1})
        ],
        f"/{PREDICTION}/Classify": [
            serving_pb.ClassificationRequest(model_spec=spec, input={"example_list": {"examples": [example, example]}})
        ],
        f"/{PREDICTION}/GetModelMetadata": [
            serving_pb.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        ],
        f"/{MODEL}/GetModelStatus": [serving_pb.GetModelStatusRequest(model_spec=spec)],
        f"/{OIP}/ModelStatistics": [pb.ModelStatisticsRequest(name="pair", version="1")],
        CHECK: [HealthCheckRequest(service=OIP)],
    }


async def test_mutated_messages_are_answered_or_refused(caller: Caller) -> None:
    rng = random.Random(7)
    messages = [(path, one.SerializeToString()) for path, ones in legal().items() for one in ones]
    codes: dict[grpc.StatusCode, int] = {}
    for _ in range(MUTATIONS):
        path, content = rng.choice(messages)
        try:
            await caller.bytes_of(path, mutated(content, rng))
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            code = error.code()
        codes[code] = codes.get(code, 0) + 1
    good = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    assert codes.keys() <= good | {grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
    assert codes.keys() >= good


# -- health and reflection -------------------------------------------------------------------------------------


async def test_health_is_checked_and_watched(published: Store) -> None:
    async with calling(published) as caller:
        for service in ("", OIP, PREDICTION, MODEL):
            said = await caller.ask(CHECK, HealthCheckRequest(service=service), HealthCheckResponse)
            assert said.status == HealthCheckResponse.SERVING
        assert (await caller.refused(CHECK, HealthCheckRequest(service=SESAME)))[0] == grpc.StatusCode.NOT_FOUND
        watch: Any = caller.channel.unary_stream(WATCH)(HealthCheckRequest().SerializeToString())
        assert HealthCheckResponse.FromString(await watch.read()).status == HealthCheckResponse.SERVING
        parts_of(caller.app).jobs.drain()
        said = await caller.ask(CHECK, HealthCheckRequest(), HealthCheckResponse)
        assert said.status == HealthCheckResponse.NOT_SERVING
        assert HealthCheckResponse.FromString(await watch.read()).status == HealthCheckResponse.NOT_SERVING
        assert await watch.read() is grpc.aio.EOF  # a server that drains waits for no watch


async def test_watches_have_an_end_and_take_no_room_of_calls(published: Store) -> None:
    async with calling(published, max_in_flight=2, log_level="error") as caller:
        watches: list[Any] = []
        for _ in range(2):
            watch: Any = caller.channel.unary_stream(WATCH)
            watches.append(watch(b""))
            await watches[-1].read()
        channels = [another(caller) for _ in range(3)]
        one_more: Any = channels[0].unary_stream(WATCH)
        with pytest.raises(grpc.aio.AioRpcError, match="2 watches are open; call Check instead"):
            await one_more(b"").read()
        reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        held: list[Any] = [channel.stream_stream(reflection)() for channel in channels]
        for call in held:
            await call.write(reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString())
            await call.read()
        infer: Any = channels[0].unary_unary(INFER)
        assert pb.ModelInferResponse.FromString(await infer(ONE.SerializeToString(), timeout=30)).outputs
        for call in (*watches, *held):
            call.cancel()
        for channel in channels:
            await channel.close()


def another(caller: Caller) -> grpc.aio.Channel:
    """Return a channel with a connection of its own."""
    port = parts_of(caller.app).settings.grpc_port
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])


async def test_services_are_found_by_reflection(caller: Caller) -> None:
    kind = reflection_pb2.ServerReflectionRequest
    call: Any = caller.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        kind.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [kind(list_services=""), kind(file_containing_symbol=PREDICTION)]
    listed, found = [said async for said in call(iter(asked))]
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {OIP, PREDICTION, MODEL, "grpc.health.v1.Health"}
    assert any(b"PredictRequest" in one for one in found.file_descriptor_response.file_descriptor_proto)


async def test_without_a_port_there_is_no_grpc(published: Store) -> None:
    async with calling(published, grpc_port=None) as caller:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await caller.infer(ONE)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
