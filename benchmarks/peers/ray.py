"""Ray Serve, one replica, `@serve.batch`; computes with the same `tf.function` as the server by hand."""

import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bodies import Json
from benchmarks.environments import python
from benchmarks.network import FOLDER, Network, is_served_here
from benchmarks.peers import PEERS, TENSORFLOW
from benchmarks.servers import Contender

REQUIREMENTS = ("ray[serve]==2.60.0", TENSORFLOW)


def contender(network: Path) -> Contender:
    environment = {FOLDER: str(network), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    command = [str(python("ray")), "-m", "benchmarks.peers.ray", "{port}"]
    return Contender(PEERS["ray"], command, {"json": Json("/predict")}, environment, "/-/healthz")


if is_served_here():
    from ray import serve
    from starlette.requests import Request

    @serve.deployment(max_ongoing_requests=128, ray_actor_options={"num_cpus": 0})
    class Served:
        def __init__(self) -> None:
            self.network = Network.read()

        @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
        async def predict(self, inputs: list[Any]) -> list[Any]:
            ends = np.cumsum([len(rows) for rows in inputs])[:-1]
            return np.split(self.network(np.concatenate(inputs)), ends)

        async def __call__(self, request: Request) -> dict[str, Any]:
            rows = np.asarray((await request.json())["inputs"], dtype=np.float64)
            return {"outputs": (await self.predict(rows)).tolist()}


def main(port: int) -> None:
    import ray  # deferred: in this peer's environment only

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # which takes its processes along
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Served.bind(), route_prefix="/predict")  # type: ignore[attr-defined]  # given by its decorator
    signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
