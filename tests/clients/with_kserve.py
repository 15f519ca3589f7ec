"""KServe's InferenceRESTClient, protocol v1 and v2."""

import httpx
import numpy as np
from cases import IRIS, PASSENGERS, QUADRATIC, URL, case, close, main, native
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig

_ = InferOutput


def client(protocol):
    return InferenceRESTClient(RESTConfig(protocol=protocol, retries=1, timeout=60))


async def refused(status, asking, *parts):
    try:
        await asking.infer(URL, *parts)
    except httpx.HTTPStatusError as error:
        assert error.response.status_code == status, error.response.text
        return
    raise AssertionError("was not refused")


def tensor(name, values, binary=True):
    given = InferInput(name, list(values.shape), "FP32")
    given.set_data_from_numpy(values, binary_data=binary)
    return given


@case
async def v1_is_live_and_ready():
    async with client("v1") as asking:
        assert await asking.is_server_live(URL)
        assert await asking.is_model_ready(URL, "quadratic")


@case
async def v1_rows():
    async with client("v1") as asking:
        answer = await asking.infer(URL, {"instances": QUADRATIC}, "quadratic")
        close(answer["predictions"], native("quadratic", QUADRATIC))


@case
async def v1_labels_and_records():
    async with client("v1") as asking:
        answer = await asking.infer(URL, {"instances": IRIS}, "iris")
        close(answer["predictions"], native("iris", IRIS))
        names = ("age", "port", "crew", "boarded", "note")
        records = [dict(zip(names, row, strict=True)) for row in PASSENGERS]
        answer = await asking.infer(URL, {"instances": records}, "passengers")
        close(answer["predictions"], native("passengers", PASSENGERS))


@case
async def v1_is_refused_in_words():
    async with client("v1") as asking:
        await refused(404, asking, {"instances": QUADRATIC}, "nothing")
        await refused(400, asking, {"instances": [["sesame", 1]]}, "quadratic")
        await refused(400, asking, {"sesame": []}, "quadratic")


@case
async def v2_is_live_and_ready():
    async with client("v2") as asking:
        assert await asking.is_server_live(URL) and await asking.is_server_ready(URL)
        assert await asking.is_model_ready(URL, "quadratic")
        assert not await asking.is_model_ready(URL, "nothing")


@case
async def v2_a_tensor_a_column():
    rows = np.array(QUADRATIC, np.float32)
    async with client("v2") as asking:
        for binary in (True, False):
            given = [tensor("x1", rows[:, :1], binary), tensor("x2", rows[:, 1:], binary)]
            answer = await asking.infer(URL, InferRequest("quadratic", given), "quadratic")
            close(answer.outputs[0].as_numpy(), native("quadratic", QUADRATIC))


@case
async def v2_packed_and_labels():
    async with client("v2") as asking:
        given = InferRequest("iris", [tensor("x", np.array(IRIS, np.float32), binary=False)], request_id="7")
        answer = await asking.infer(URL, given, "iris")
        assert answer.id == "7"
        labels = [one.decode() if isinstance(one, bytes) else one for one in np.ravel(answer.outputs[0].as_numpy())]
        close(labels, native("iris", IRIS))


@case
async def v2_takes_a_dict():
    body = {"inputs": [{"name": "x", "shape": [3, 2], "datatype": "FP32", "data": QUADRATIC}]}
    async with client("v2") as asking:
        answer = await asking.infer(URL, body, "quadratic")
        close(answer.outputs[0].data, native("quadratic", QUADRATIC))


@case
async def v2_is_refused_in_words():
    async with client("v2") as asking:
        await refused(404, asking, InferRequest("nothing", [tensor("x", np.ones((1, 1), np.float32))]), "nothing")
        await refused(400, asking, InferRequest("quadratic", [tensor("x1", np.ones((1, 1), np.float32))]), "quadratic")


main()
