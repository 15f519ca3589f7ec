"""gRPC beside HTTP in the real server: with one process, with workers that share the port, and at the end."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from app.dialects.oip import tensors
from app.protos import open_inference_pb2 as pb
from tests.clients.__main__ import free_port
from tests.server.conftest import PATTERNS, Server, environment

pytestmark = [pytest.mark.server, pytest.mark.keras]

INFER = "/inference.GRPCInferenceService/ModelInfer"


@contextmanager
def channel(port: int) -> Iterator[grpc.Channel]:
    """A channel with a connection of its own."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as opened:
        yield opened


def predicted(opened: grpc.Channel, x: float) -> float:
    request = pb.ModelInferRequest(model_name="add-ten")
    request.inputs.add(name="x", datatype="FP64", shape=[1, 1])
    request.raw_input_contents.append(np.float64(x).tobytes())
    call: Any = opened.unary_unary(INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
    response = call(request, timeout=60)
    output = response.outputs[0]
    return float(tensors.from_bytes(output.datatype, [1, 1], memoryview(response.raw_output_contents[0]))[0, 0])


def metric(server: Server) -> str:
    return server.client.get("/metrics").text


def test_workers_share_the_port_and_a_second_server_is_refused(serve: Callable[..., Server]) -> None:
    port = free_port()
    server = serve(workers=2, grpc_port=port, engine="onnx").wait_ready()
    [[expected]] = server.predict("add-ten", [[50]])["outputs"]
    for _ in range(20):
        with channel(port) as opened:
            assert predicted(opened, 50) == pytest.approx(expected, rel=1e-5)
    assert f'route="{INFER}",status="200"}} 20.0' in metric(server)
    second = environment(store=server.store, port=free_port(), grpc_port=port, workers=2)
    refused = subprocess.run([PATTERNS, "serve"], env=second, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode != 0
    assert f"port {port} of 127.0.0.1 is in use" in refused.stderr
    assert server.stop() == 0


def test_the_server_ends_in_order_with_connections_of_grpc_open(serve: Callable[..., Server]) -> None:
    port = free_port()
    server = serve(grpc_port=port, engine="onnx").wait_ready()
    with channel(port) as opened:
        predicted(opened, 50)
        alone = environment(store=server.store, port=free_port(), grpc_port=port)
        refused = subprocess.run(
            [PATTERNS, "serve"], env=alone, capture_output=True, text=True, check=False, timeout=60
        )
        assert f"port {port} of 127.0.0.1 is in use" in refused.stderr
        assert server.stop() == 0
        with pytest.raises(grpc.RpcError) as ended:
            predicted(opened, 50)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
    log = server.log.read_text()
    assert "Traceback" not in log and "fork" not in log
