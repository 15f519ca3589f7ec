"""Triton's own client over gRPC, synchronous, asynchronous and aio; streams are refused."""

import queue

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as aio
from cases import ADD_TEN, GRPC_ADDRESS, IRIS, PAIR, PASSENGERS, QUADRATIC, case, close, likely, main, native
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

client = triton.InferenceServerClient(GRPC_ADDRESS)


def tensor(name, values, dtype=np.float32):
    array = np.asarray(values, dtype)
    given = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    given.set_data_from_numpy(array)
    return given


def columns(rows, names):
    return [tensor(name, [[row[place]] for row in rows]) for place, name in enumerate(names)]


def refusal(call, *parts, **named):
    try:
        call(*parts, **named)
    except InferenceServerException as error:
        return error
    raise AssertionError(f"was not refused: {parts[:1]} {named}")


# -- what there is -------------------------------------------------------------------------------------------------


@case
def server_and_model_health():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("quadratic") and client.is_model_ready("add-ten", "2")
    assert refusal(client.is_model_ready, "nothing").status() == "StatusCode.NOT_FOUND"


@case
def metadata_and_config():
    assert {"classification", "statistics"} <= set(client.get_server_metadata().extensions)
    said = client.get_model_metadata("quadratic")
    assert [(one.name, one.datatype, list(one.shape)) for one in said.inputs] == [
        ("x1", "FP32", [-1, 1]),
        ("x2", "FP32", [-1, 1]),
    ]
    assert list(client.get_model_metadata("add-ten").versions) == ["1", "2"]
    config = client.get_model_config("iris").config
    assert (config.name, len(config.input), len(config.output)) == ("iris", 4, 1)
    assert client.get_model_metadata("iris", as_json=True)["name"] == "iris"


@case
def statistics_count_rows_and_calls():
    def counted():
        (said,) = client.get_inference_statistics("quadratic").model_stats
        return said.inference_count, said.execution_count, said.inference_stats.success.count

    before = counted()
    client.infer("quadratic", columns(QUADRATIC, ["x1", "x2"]))
    assert [late - early for early, late in zip(before, counted(), strict=True)] == [3, 1, 1]


@case
def repository_index_load_unload():
    assert {"add-ten", "iris"} <= {one.name for one in client.get_model_repository_index().models}
    client.unload_model("add-ten-relu")
    assert not client.is_model_ready("add-ten-relu")
    assert refusal(client.infer, "add-ten-relu", [tensor("x", ADD_TEN)]).status() == "StatusCode.UNAVAILABLE"
    client.load_model("add-ten-relu")
    client.infer("add-ten-relu", [tensor("x", ADD_TEN)])


# -- inference -----------------------------------------------------------------------------------------------------


@case
def columns_and_one_packed_tensor():
    answer = client.infer("quadratic", columns(QUADRATIC, ["x1", "x2"]), request_id="7")
    assert answer.as_numpy("y").shape == (3, 1) and answer.get_response().id == "7"
    close(answer.as_numpy("y"), native("quadratic", QUADRATIC))
    close(client.infer("quadratic", [tensor("rows", QUADRATIC)]).as_numpy("y"), native("quadratic", QUADRATIC))


@case
def every_numeric_type():
    expected = native("add-ten", [[1.0], [2.0], [3.0]])
    for width in (8, 16, 32, 64):
        for kind in (f"uint{width}", f"int{width}", f"float{width}"):
            if kind != "float8":
                close(client.infer("add-ten", [tensor("x", [[1], [2], [3]], kind)]).as_numpy("y"), expected)


@case
def texts_and_missing_values():
    names = ("age", "port", "crew", "boarded", "note")
    dtypes = {"age": np.float32, "crew": np.bool_}
    given = []
    for place, name in enumerate(names):
        cells = [row[place] for row in PASSENGERS]
        if name == "age":
            cells = [np.nan if cell is None else cell for cell in cells]
        elif name in ("port", "boarded", "note"):
            cells = [("" if cell is None else cell).encode() for cell in cells]
        given.append(tensor(name, [[cell] for cell in cells], dtypes.get(name, np.object_)))
    close(client.infer("passengers", given).as_numpy("survived"), native("passengers", PASSENGERS))


@case
def outputs_versions_and_classes():
    answer = client.infer("linear-pair", [tensor("x", PAIR)], outputs=[triton.InferRequestedOutput("y2")])
    close(answer.as_numpy("y2"), [row[1] for row in native("linear-pair", PAIR)])
    assert answer.as_numpy("y1") is None
    second = client.infer("add-ten", [tensor("x", ADD_TEN)], model_version="2").as_numpy("y")
    close(second, native("add-ten", ADD_TEN, "?version=2"))
    wanted = [triton.InferRequestedOutput("species", class_count=2)]
    classes = client.infer("iris", [tensor("x", IRIS)], outputs=wanted).as_numpy("species")
    for row, probabilities in zip(classes, likely("iris", IRIS), strict=True):
        score, _, label = row[0].decode().split(":")
        close(float(score), probabilities[label])


@case
def asynchronous():
    answers = queue.Queue()
    for _ in range(20):
        client.async_infer(
            "quadratic", [tensor("rows", QUADRATIC)], callback=lambda result, error: answers.put((result, error))
        )
    for _ in range(20):
        result, error = answers.get(timeout=30)
        assert error is None, error
        close(result.as_numpy("y"), native("quadratic", QUADRATIC))


@case
async def aio_client():
    async with aio.InferenceServerClient(GRPC_ADDRESS) as many:
        assert await many.is_server_ready()
        answer = await many.infer("quadratic", [tensor("rows", QUADRATIC)])
        close(answer.as_numpy("y"), native("quadratic", QUADRATIC))


@case
def many_rows():
    rows = np.linspace(0, 90, 100_000, dtype=np.float32).reshape(-1, 1)
    answer = client.infer("add-ten", [tensor("x", rows)]).as_numpy("y")
    assert answer.shape == (100_000, 1)
    close(answer[:3], native("add-ten", rows[:3].tolist()))


# -- refusals ------------------------------------------------------------------------------------------------------


@case
def streams_are_refused_clearly():
    answers = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put(error))
    error = answers.get(timeout=30)
    client.stop_stream()
    assert "streams are not offered; call ModelInfer" in str(error)


@case
def refusals_are_exceptions_of_the_client():
    assert refusal(client.infer, "nothing", [tensor("x", ADD_TEN)]).status() == "StatusCode.NOT_FOUND"
    wrong = refusal(client.infer, "quadratic", [tensor("x", ADD_TEN)])
    assert wrong.status() == "StatusCode.INVALID_ARGUMENT" and "x1" in wrong.message()


main()
