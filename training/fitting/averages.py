"""Moving averages of weights over the steps of a fit (Polyak and Juditsky, 1992).

average <- average + share · (weights - average), where the share falls from 1 to 1 - momentum
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.networks.keras_network import tf


def momentum_of(steps: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the momentum of an average over about so many steps, 1 at least."""
    momentum: NDArray[np.float64] = 1 - 1 / np.maximum(1.0, steps)
    return momentum


def drawn(momentum: Any, step: Any, apart: Any) -> Any:
    """Traced: return how far an average is drawn towards the weights of a step, from 1, which are `apart` from it.

    Its share is divided by the sum of all shares so far, so that nothing of before the first step is in it: after few
    steps it is their plain mean (as Adam's averages are corrected: Kingma and Ba, 2015).
    """
    share = (1 - momentum) / (1 - momentum ** tf.cast(step, momentum.dtype))
    return tf.cast(share, apart.dtype) * apart
