"""MLServer, the Open Inference Protocol in JSON; computes with the same `tf.function` as the server by hand.

Without worker processes beside the server's own: for a network this small they only pass messages.
"""

import json
from pathlib import Path

from benchmarks.bodies import OipJson
from benchmarks.environments import python
from benchmarks.network import FOLDER, Network, is_served_here
from benchmarks.peers import PEERS, TENSORFLOW
from benchmarks.servers import PROJECT, Contender

REQUIREMENTS = ("mlserver==1.7.1", TENSORFLOW)


def contender(network: Path) -> Contender:
    folder = network / "mlserver"
    folder.mkdir(exist_ok=True)
    settings = {"name": "add-ten", "implementation": "benchmarks.peers.mlserver.Served"}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    environment = {
        FOLDER: str(network),
        "PYTHONPATH": str(PROJECT),
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "0",
        "MLSERVER_METRICS_ENDPOINT": "",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    }
    command = [str(python("mlserver")), str(python("mlserver").with_name("mlserver")), "start", str(folder)]
    formats = {"json": OipJson("/v2/models/add-ten/infer")}
    return Contender(PEERS["mlserver"], command, formats, environment, "/v2/models/add-ten/ready")


if is_served_here():
    import mlserver
    from mlserver.codecs import NumpyCodec

    class Served(mlserver.MLModel):
        async def load(self) -> bool:
            self.network = Network.read()
            return True

        async def predict(self, payload: mlserver.types.InferenceRequest) -> mlserver.types.InferenceResponse:
            answers = self.network(NumpyCodec.decode_input(payload.inputs[0]))
            outputs = [NumpyCodec.encode_output("y", answers)]
            return mlserver.types.InferenceResponse(model_name=self.name, outputs=outputs)
