"""The trained network as every server but ours computes it: Keras' own file, one `tf.function`, the scaling beside it.

export(store, folder)      takes both out of the bundle
Network.read()             in the process of a server, from the folder that its environment names
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

PATTERN = "add-ten"
FOLDER = "BENCHMARK_NETWORK"
NETWORK, SCALING = "network.keras", "scaling.json"


def export(store: Path, folder: Path) -> None:
    published = store / PATTERN / str(max(int(entry.name) for entry in (store / PATTERN).iterdir() if entry.is_dir()))
    bundle = json.loads((published / "bundle.json").read_text())
    assert bundle["encoder"]["degree"] == 1, "servers by hand know no polynomials"
    scaling = {"inputs": bundle["encoder"]["scaler"], "outputs": bundle["decoder"]["scaler"]}
    (folder / SCALING).write_text(json.dumps(scaling))
    shutil.copyfile(published / NETWORK, folder / NETWORK)


def is_served_here() -> bool:
    """True in the process of a server, which has the packages for it; False in the benchmark."""
    return FOLDER in os.environ


@dataclass(frozen=True, eq=False)
class Scaling:
    """scaled = (raw - offset) / scale, by column"""

    offset: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, saved: dict[str, Any]) -> Self:
        return cls(np.asarray(saved["offset"]), np.asarray(saved["scale"]))


class Network:
    """Computes raw answers (n_rows, 1) from raw rows (n_rows, 1). Lives as long as its server."""

    def __init__(self, model: Any, compiled: Callable[[Any], Any], inputs: Scaling, outputs: Scaling) -> None:
        self.model = model
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs

    @classmethod
    def read(cls) -> Self:
        import keras  # deferred: the benchmark itself does without
        import tensorflow as tf  # deferred: the benchmark itself does without

        folder = Path(os.environ[FOLDER])
        model = keras.models.load_model(folder / NETWORK, compile=False)
        dtype = model.inputs[0].dtype
        rows = tf.TensorSpec([None, model.input_shape[1]], dtype)
        compiled = tf.function(lambda rows: model(rows, training=False)).get_concrete_function(rows)
        scaling = json.loads((folder / SCALING).read_text())
        inputs, outputs = (Scaling.of(scaling[side]) for side in ("inputs", "outputs"))
        return cls(model, lambda rows: compiled(tf.constant(rows, dtype)).numpy(), inputs, outputs)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        return self.unscaled(self._compiled(self.scaled(rows)))

    def scaled(self, rows: NDArray[Any]) -> NDArray[Any]:
        return (rows - self._inputs.offset) / self._inputs.scale

    def unscaled(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return outputs * self._outputs.scale + self._outputs.offset
