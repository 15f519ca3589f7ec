"""The server that everybody writes first: FastAPI around `model.predict`."""

from typing import Any

import numpy as np
from fastapi import Body, FastAPI

from benchmarks.network import Network

network = Network.read()
app = FastAPI()


@app.post("/predict/add-ten")
def predict(inputs: list[list[float]] = Body(embed=True)) -> dict[str, Any]:  # noqa: B008  # as FastAPI has it
    outputs = network.unscaled(network.model.predict(network.scaled(np.array(inputs)), verbose=0))
    return {"outputs": outputs.tolist()}
