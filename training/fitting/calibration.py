"""The temperature of labels: the one number that logits are divided by, so that probabilities are as sure as right.

Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017. A network that is trained for long is
surer than it is right. Divided into the weights of the last layer, it is a part of the network, and of every export.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models_store.arrays import Array, Encoded
from models_store.networks.keras_network import tf

# Of few rows that are all answered rightly, the best temperature would be 0, which is too sure of them.
COLDEST, WARMEST = 1.0, 10.0
# Those that are compared after each epoch, to choose the best one.
TEMPERATURES = tuple(2.0 ** (step / 4) for step in range(9))
# As Keras' losses do it, so that a single row does not decide.
LEAST = 1e-7


def temperature(probabilities: Array, numbers: NDArray[np.int_], weights: Encoded | None) -> float:
    """Return the temperature of the least log loss, 1 to 10.

    `probabilities` (n_rows, n_labels) are of rows that the answering member has not learned from, `numbers` (n_rows,)
    those of their labels, and `weights` (n_rows,) how much each row counts; None: all alike.
    """
    logits = np.log(np.maximum(probabilities, LEAST))

    def loss(log_temperature: float) -> float:
        cooled = logits / np.exp(log_temperature)
        highest = cooled.max(axis=1, keepdims=True)
        total = highest[:, 0] + np.log(np.exp(cooled - highest).sum(axis=1))
        return float(np.average(total - cooled[np.arange(len(numbers)), numbers], weights=weights))

    found = minimize_scalar(loss, bounds=np.log([COLDEST, WARMEST]), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def at_temperatures(outputs: Any) -> Any:
    """Traced: outputs of a sigmoid or softmax (…, n_outputs) -> the same at each of TEMPERATURES, stacked in front.

    By them the best epoch is the one that tells labels apart best, however sure the network is of itself: Berta,
    Holzmüller, Jordan, Bach, "Rethinking Early Stopping: Refine, Then Calibrate", 2025.
    """
    warmth = tf.reshape(tf.constant(TEMPERATURES, outputs.dtype), [-1, *(1 for _ in outputs.shape)])
    kept = tf.clip_by_value(outputs, LEAST, 1 - LEAST)
    if outputs.shape[-1] == 1:
        return tf.sigmoid((tf.math.log(kept) - tf.math.log(1 - kept)) / warmth)
    return tf.nn.softmax(tf.math.log(kept) / warmth)
