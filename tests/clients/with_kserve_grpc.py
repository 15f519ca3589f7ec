"""KServe's client over gRPC: typed and raw contents, in and out."""

import numpy as np
from cases import ADD_TEN, GRPC_ADDRESS, IRIS, PAIR, PASSENGERS, QUADRATIC, case, close, main, native
from grpc.aio import AioRpcError
from kserve import InferenceGRPCClient, InferInput, InferRequest

COLUMNS = (("age", "FP32"), ("port", "BYTES"), ("crew", "BOOL"), ("boarded", "BYTES"), ("note", "BYTES"))


def asked(model, *inputs, **more):
    return InferRequest(model, list(inputs), **more)


async def outputs_of(request):
    client = InferenceGRPCClient(GRPC_ADDRESS)
    try:
        answer = await client.infer(request)
    finally:
        await client.close()
    return {output.name: output.as_numpy() for output in answer.outputs}


async def refused(request):
    try:
        await outputs_of(request)
    except AioRpcError as error:
        return error.code().name
    raise AssertionError("was not refused")


@case
async def health():
    client = InferenceGRPCClient(GRPC_ADDRESS)
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("quadratic")
    await client.close()


@case
async def typed_contents():
    rows = InferInput("rows", [3, 2], "FP32", [cell for row in QUADRATIC for cell in row])
    close((await outputs_of(asked("quadratic", rows)))["y"], native("quadratic", QUADRATIC))
    for datatype in ("INT8", "INT32", "INT64", "UINT8", "UINT64", "FP64"):
        x = InferInput("x", [3, 1], datatype, [1, 2, 3])
        close((await outputs_of(asked("add-ten", x)))["y"], native("add-ten", [[1.0], [2.0], [3.0]]))


@case
async def raw_contents():
    rows = InferInput("rows", [3, 2], "FP32")
    rows.set_data_from_numpy(np.array(QUADRATIC, np.float32), binary_data=True)
    close((await outputs_of(asked("quadratic", rows)))["y"], native("quadratic", QUADRATIC))


@case
async def labels_and_several_outputs():
    flowers = InferInput("rows", [3, 4], "FP64", [cell for row in IRIS for cell in row])
    close((await outputs_of(asked("iris", flowers)))["species"], native("iris", IRIS))
    pairs = InferInput("rows", [2, 4], "FP32", [cell for row in PAIR for cell in row])
    answers = await outputs_of(asked("linear-pair", pairs))
    close(answers["y2"], [row[1] for row in native("linear-pair", PAIR)])


@case
async def texts_and_missing_values():
    inputs = []
    for place, (name, datatype) in enumerate(COLUMNS):
        cells = [row[place] for row in PASSENGERS]
        nothing = float("nan") if datatype == "FP32" else ""
        cells = [nothing if cell is None else cell for cell in cells]
        cells = [cell.encode() for cell in cells] if datatype == "BYTES" else cells
        inputs.append(InferInput(name, [len(cells), 1], datatype, cells))
    close((await outputs_of(asked("passengers", *inputs)))["survived"], native("passengers", PASSENGERS))


@case
async def a_version():
    x = InferInput("x", [3, 1], "FP32", [row[0] for row in ADD_TEN])
    close((await outputs_of(asked("add-ten", x, model_version="2")))["y"], native("add-ten", ADD_TEN, "?version=2"))


@case
async def refusals():
    x = InferInput("x", [1, 1], "FP32", [1.0])
    assert await refused(asked("nothing", x)) == "NOT_FOUND"
    assert await refused(asked("quadratic", x)) == "INVALID_ARGUMENT"


main()
