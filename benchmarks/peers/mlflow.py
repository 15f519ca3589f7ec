"""MLflow's `models serve`, a model of its Python flavour; the same `tf.function` as the server by hand."""

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.bodies import Json
from benchmarks.environments import python
from benchmarks.network import FOLDER, Network, is_served_here
from benchmarks.peers import PEERS, TENSORFLOW
from benchmarks.servers import Contender

REQUIREMENTS = ("mlflow==3.17.0", TENSORFLOW)


def contender(network: Path) -> Contender:
    command = [str(python("mlflow")), "-m", "benchmarks.peers.mlflow", str(network / "mlflow"), "{port}"]
    formats = {"json": Json("/invocations", answered="predictions")}
    # MLflow starts uvicorn by its bare name.
    path = os.pathsep.join([str(python("mlflow").parent), os.environ.get("PATH", "")])
    environment = {FOLDER: str(network), "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    return Contender(PEERS["mlflow"], command, formats, environment, "/ping")


if is_served_here():
    import mlflow.pyfunc

    class Served(mlflow.pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            self.network = Network.read()

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return self.network(model_input)


def main(folder: Path, port: int) -> None:
    """Save the model in a folder, and replace this process by `models serve` of that folder."""
    if not folder.exists():
        mlflow.pyfunc.save_model(folder, python_model=Served(), pip_requirements=[])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local"]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
