"""Triton's own client, synchronous, asynchronous and aio: what it sends by default and what it can be told to send."""

import numpy as np
import tritonclient.http as http
import tritonclient.http.aio as aio
from cases import ADD_TEN, ADDRESS, IRIS, PAIR, PASSENGERS, QUADRATIC, case, close, likely, main, native
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

client = http.InferenceServerClient(ADDRESS, concurrency=4)


def tensor(name, values, dtype=np.float32, shape=None, binary=True):
    array = np.asarray(values, dtype)
    array = array.reshape(shape) if shape is not None else array
    given = http.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def columns(rows, names, dtype=np.float32, binary=True):
    return [tensor(name, [[row[place]] for row in rows], dtype, binary=binary) for place, name in enumerate(names)]


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
    assert not client.is_model_ready("nothing")


@case
def server_metadata():
    said = client.get_server_metadata()
    assert {"name", "version", "extensions"} <= said.keys()
    assert {"binary_tensor_data", "classification", "statistics", "model_repository"} <= set(said["extensions"])


@case
def model_metadata():
    said = client.get_model_metadata("quadratic")
    assert [(one["name"], one["datatype"], one["shape"]) for one in said["inputs"]] == [
        ("x1", "FP32", [-1, 1]),
        ("x2", "FP32", [-1, 1]),
    ]
    assert [one["name"] for one in said["outputs"]] == ["y"]
    assert client.get_model_metadata("add-ten")["versions"] == ["1", "2"]
    kinds = {one["name"]: one["datatype"] for one in client.get_model_metadata("passengers")["inputs"]}
    assert (kinds["age"], kinds["port"], kinds["note"]) == ("FP32", "BYTES", "BYTES")


@case
def model_config():
    said = client.get_model_config("iris")
    assert said["name"] == "iris" and len(said["input"]) == 4 and len(said["output"]) == 1


@case
def statistics_count_rows_and_calls():
    def counted():
        (said,) = client.get_inference_statistics("quadratic")["model_stats"]
        return said["inference_count"], said["execution_count"], said["inference_stats"]["success"]["count"]

    before = counted()
    client.infer("quadratic", columns(QUADRATIC, ["x1", "x2"]))
    after = counted()
    assert [late - early for early, late in zip(before, after, strict=True)] == [3, 1, 1], (before, after)
    assert len(client.get_inference_statistics()["model_stats"]) >= 5


@case
def repository_index_load_unload():
    assert {"add-ten", "iris"} <= {one["name"] for one in client.get_model_repository_index()}
    client.unload_model("add-ten-relu")
    assert not client.is_model_ready("add-ten-relu")
    states = {one["name"]: one["state"] for one in client.get_model_repository_index()}
    assert (states["add-ten-relu"], states["add-ten"]) == ("UNAVAILABLE", "READY")
    refusal(client.infer, "add-ten-relu", [tensor("x", ADD_TEN)])
    client.load_model("add-ten-relu")
    assert client.is_model_ready("add-ten-relu")
    client.infer("add-ten-relu", [tensor("x", ADD_TEN)])


# -- inference -----------------------------------------------------------------------------------------------------


@case
def binary_in_and_out_is_the_default():
    answer = client.infer("quadratic", columns(QUADRATIC, ["x1", "x2"]))
    assert answer.as_numpy("y").shape == (3, 1)
    close(answer.as_numpy("y"), native("quadratic", QUADRATIC))


@case
def json_in_and_out():
    wanted = [http.InferRequestedOutput("y", binary_data=False)]
    answer = client.infer("quadratic", columns(QUADRATIC, ["x1", "x2"], binary=False), outputs=wanted)
    close(answer.as_numpy("y"), native("quadratic", QUADRATIC))
    assert answer.get_output("y")["data"]


@case
def binary_and_json_in_one_request():
    rows = np.array(QUADRATIC, np.float32)
    mixed = [tensor("x1", rows[:, :1], binary=True), tensor("x2", rows[:, 1:], binary=False)]
    close(client.infer("quadratic", mixed).as_numpy("y"), native("quadratic", QUADRATIC))


@case
def one_packed_tensor_under_any_name():
    close(client.infer("quadratic", [tensor("features", QUADRATIC)]).as_numpy("y"), native("quadratic", QUADRATIC))
    close(
        client.infer("linear-pair", [tensor("x", PAIR)]).as_numpy("y2"), [row[1] for row in native("linear-pair", PAIR)]
    )


@case
def every_numeric_type():
    expected = native("add-ten", [[1.0], [2.0], [3.0]])
    for kind in (
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
    ):
        close(client.infer("add-ten", [tensor("x", [[1], [2], [3]], kind)]).as_numpy("y"), expected)
        if kind != "float16":
            given = tensor("x", [[1], [2], [3]], kind, binary=False)
            close(client.infer("add-ten", [given]).as_numpy("y"), expected)


@case
def flat_shapes():
    close(client.infer("add-ten", [tensor("x", [1.0, 2.0, 5.5])]).as_numpy("y"), native("add-ten", ADD_TEN))


@case
def outputs_are_selected():
    answer = client.infer("linear-pair", [tensor("x", PAIR)], outputs=[http.InferRequestedOutput("y2")])
    assert answer.as_numpy("y1") is None
    close(answer.as_numpy("y2"), [row[1] for row in native("linear-pair", PAIR)])


@case
def request_id_and_version_are_echoed():
    answer = client.infer("quadratic", [tensor("x", QUADRATIC)], request_id="forty-two").get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("forty-two", "quadratic", "1")


@case
def a_pinned_version_answers():
    answer = client.infer("add-ten", [tensor("x", ADD_TEN)], model_version="2")
    assert answer.get_response()["model_version"] == "2"
    close(answer.as_numpy("y"), native("add-ten", ADD_TEN, "?version=2"))


@case
def async_infer_answers_all():
    waiting = [client.async_infer("add-ten", [tensor("x", [[float(number)]])]) for number in range(20)]
    answers = [one.get_result().as_numpy("y")[0, 0] for one in waiting]
    close(answers, native("add-ten", [[float(number)] for number in range(20)]))


@case
def compression_both_ways():
    expected = native("quadratic", QUADRATIC)
    for algorithm in ("gzip", "deflate"):
        for binary in (True, False):
            answer = client.infer(
                "quadratic",
                columns(QUADRATIC, ["x1", "x2"], binary=binary),
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            close(answer.as_numpy("y"), expected)


# -- labels, texts, missing values ---------------------------------------------------------------------------------


@case
def labels_are_bytes():
    answer = client.infer("iris", [tensor("x", IRIS)])
    name = client.get_model_metadata("iris")["outputs"][0]["name"]
    assert [label.decode() for label in answer.as_numpy(name).ravel()] == [row[0] for row in native("iris", IRIS)]


@case
def classification_ranks_labels():
    name = client.get_model_metadata("iris")["outputs"][0]["name"]
    for binary in (True, False):
        wanted = http.InferRequestedOutput(name, binary_data=binary, class_count=2)
        answer = client.infer("iris", [tensor("x", IRIS)], outputs=[wanted]).as_numpy(name)
        assert answer.shape == (3, 2)
        for row, probabilities in zip(answer.tolist(), likely("iris", IRIS), strict=True):
            best = sorted(probabilities, key=probabilities.get, reverse=True)[:2]
            for said, label in zip(row, best, strict=True):
                score, _, named = (said if isinstance(said, str) else said.decode()).split(":")
                assert named == label
                close(float(score), probabilities[label])


def boarding(binary, rows=PASSENGERS):
    texts = {"port": 1, "boarded": 3, "note": 4}
    given = [tensor("age", [[np.nan if row[0] is None else row[0]] for row in rows], binary=binary)]
    given += [tensor("crew", [[row[2]] for row in rows], bool, binary=binary)]
    for name, place in texts.items():
        values = [["" if row[place] is None else row[place].encode()] for row in rows]
        given.append(tensor(name, values, np.object_, binary=binary))
    return given


@case
def texts_categories_dates_and_missing_values_in_bytes():
    answer = client.infer("passengers", boarding(binary=True)).as_numpy("survived")
    assert [label.decode() for label in answer.ravel()] == [row[0] for row in native("passengers", PASSENGERS)]


@case
def texts_in_json():
    rows = [PASSENGERS[0], PASSENGERS[2]]  # NaN is no JSON
    answer = client.infer("passengers", boarding(binary=False, rows=rows)).as_numpy("survived")
    assert [label.decode() for label in answer.ravel()] == [row[0] for row in native("passengers", rows)]


# -- refusals ------------------------------------------------------------------------------------------------------


@case
def refusals_have_words_and_statuses():
    unknown = [http.InferRequestedOutput("z")]
    for status, model, given, more in (
        ("404", "nothing", [tensor("x", ADD_TEN)], {}),
        ("404", "add-ten", [tensor("x", ADD_TEN)], {"model_version": "99"}),
        ("400", "quadratic", columns(QUADRATIC, ["x1", "sesame"]), {}),
        ("400", "quadratic", columns(QUADRATIC, ["x1"]), {}),
        ("400", "quadratic", columns(QUADRATIC, ["x1", "x1"]), {}),
        ("400", "add-ten", [tensor("x", ADD_TEN)], {"outputs": unknown}),
        ("400", "add-ten", [tensor("x", [["one"]], np.object_)], {}),
        ("400", "add-ten", [tensor("x", [[np.nan]])], {}),
    ):
        error = refusal(client.infer, model, given, **more)
        assert status in str(error.status()) and error.message(), (model, more, error.status(), error.message())
    assert "404" in str(refusal(client.get_model_metadata, "nothing").status())


# -- aio -----------------------------------------------------------------------------------------------------------


@case
async def aio_asks_and_infers():
    async with aio.InferenceServerClient(ADDRESS) as asking:
        assert await asking.is_server_ready() and await asking.is_model_ready("iris")
        assert (await asking.get_model_metadata("quadratic"))["name"] == "quadratic"
        assert await asking.get_model_config("quadratic") and await asking.get_inference_statistics("quadratic")
        assert await asking.get_model_repository_index()
        expected = native("quadratic", QUADRATIC)
        for binary in (True, False):
            answer = await asking.infer("quadratic", columns(QUADRATIC, ["x1", "x2"], binary=binary))
            close(answer.as_numpy("y"), expected)
            wanted = [http.InferRequestedOutput("y", binary_data=binary)]
            given = columns(QUADRATIC, ["x1", "x2"], binary=binary)
            close((await asking.infer("quadratic", given, outputs=wanted)).as_numpy("y"), expected)


@case
async def aio_is_refused_in_words():
    async with aio.InferenceServerClient(ADDRESS) as asking:
        try:
            await asking.infer("nothing", [tensor("x", ADD_TEN)])
        except InferenceServerException as error:
            assert "404" in str(error.status()) and error.message()
        else:
            raise AssertionError("was not refused")


@case
async def aio_loads_and_unloads():
    async with aio.InferenceServerClient(ADDRESS) as asking:
        await asking.unload_model("add-ten-relu")
        assert not await asking.is_model_ready("add-ten-relu")
        await asking.load_model("add-ten-relu")
        assert await asking.is_model_ready("add-ten-relu")


main()
