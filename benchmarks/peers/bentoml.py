"""BentoML with adaptive batching; computes with the same `tf.function` as the server by hand."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bodies import Json
from benchmarks.environments import python
from benchmarks.network import FOLDER, Network, is_served_here
from benchmarks.peers import PEERS, TENSORFLOW
from benchmarks.servers import Contender

REQUIREMENTS = ("bentoml==1.4.40", TENSORFLOW)


def contender(network: Path) -> Contender:
    environment = {FOLDER: str(network), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(network / "bentoml")}
    command = [str(python("bentoml")), "-m", "bentoml", "serve", "benchmarks.peers.bentoml:Served"]
    formats = {"json": Json("/predict", answered="")}
    return Contender(
        PEERS["bentoml"], [*command, "--host", "127.0.0.1", "--port", "{port}"], formats, environment, "/readyz"
    )


if is_served_here():
    import bentoml

    @bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
    class Served:
        def __init__(self) -> None:
            self.network = Network.read()

        @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=1000)
        def predict(self, inputs: np.ndarray) -> NDArray[np.float64]:  # without parameters, as BentoML reads it
            return self.network(inputs)
