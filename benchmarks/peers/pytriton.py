"""PyTriton: Triton's server with batching, its model in Python; the same `tf.function` as the server by hand."""

import sys
import sysconfig
from pathlib import Path
from typing import Any

from benchmarks.bodies import OipJson
from benchmarks.environments import python
from benchmarks.network import FOLDER, Network
from benchmarks.peers import PEERS, TENSORFLOW
from benchmarks.servers import Contender

REQUIREMENTS = ("nvidia-pytriton==0.7.0", TENSORFLOW)


def contender(network: Path) -> Contender:
    command = [str(python("pytriton")), "-m", "benchmarks.peers.pytriton", "{port}"]
    formats = {"json": OipJson("/v2/models/add-ten/infer")}
    # Triton's backend embeds Python, and must find the library of this interpreter, not another of the system.
    environment = {FOLDER: str(network), "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or ""}
    return Contender(PEERS["pytriton"], command, formats, environment, "/v2/models/add-ten/ready")


def main(port: int) -> None:
    import numpy as np
    from pytriton.decorators import batch  # deferred: in this peer's environment only
    from pytriton.model_config import ModelConfig, Tensor
    from pytriton.triton import Triton, TritonConfig

    network = Network.read()

    @batch
    def infer(x: Any) -> dict[str, Any]:
        return {"y": network(x)}

    tensor = {"dtype": np.float64, "shape": (1,)}
    config = TritonConfig(http_port=port, http_address="127.0.0.1", allow_grpc=False, allow_metrics=False)
    with Triton(config=config) as triton:
        triton.bind(
            "add-ten",
            infer_func=infer,
            inputs=[Tensor(name="x", **tensor)],
            outputs=[Tensor(name="y", **tensor)],
            config=ModelConfig(max_batch_size=1024),
        )
        triton.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
