"""LitServe: one worker process, requests batched; computes with the same `tf.function` as the server by hand."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bodies import Json
from benchmarks.environments import python
from benchmarks.network import FOLDER, Network, is_served_here
from benchmarks.peers import PEERS, TENSORFLOW
from benchmarks.servers import Contender

REQUIREMENTS = ("litserve==0.2.19", TENSORFLOW)


def contender(network: Path) -> Contender:
    command = [str(python("litserve")), "-m", "benchmarks.peers.litserve", "{port}"]
    return Contender(PEERS["litserve"], command, {"json": Json("/predict")}, {FOLDER: str(network)}, "/health")


if is_served_here():
    import litserve

    class Served(litserve.LitAPI):
        def setup(self, device: str) -> None:
            self.network = Network.read()

        def decode_request(self, request: dict[str, Any]) -> Any:
            return np.asarray(request["inputs"], dtype=np.float64)

        def batch(self, inputs: list[Any]) -> Any:
            self.ends = np.cumsum([len(rows) for rows in inputs])[:-1]
            return np.concatenate(inputs)

        def predict(self, rows: Any) -> Any:
            return self.network(rows)

        def unbatch(self, output: Any) -> Any:
            return np.split(output, self.ends)

        def encode_response(self, output: Any) -> dict[str, Any]:
            return {"outputs": output.tolist()}


def main(port: int) -> None:
    api = Served(max_batch_size=64, batch_timeout=0.001)
    litserve.LitServer(api, accelerator="cpu").run(port=port, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
