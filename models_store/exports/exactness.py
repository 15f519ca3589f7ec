"""How near the answers of an export come to the server's."""

import numpy as np

from models_store.arrays import Array
from models_store.bundle import GOLDEN_TOLERANCE, Bundle

# Of float64, whose sums are ordered differently from engine to engine; ill-conditioned networks lose most digits.
TOLERANCE_OF_FLOAT64 = 1e-9


def tolerance_of(bundle: Bundle) -> float:
    """Return how much an answer may differ, in units of the output's scale plus its size.

    A float32 network may differ as much as it may from one device to another. Texts are encoded in float32.
    """
    is_exact = bundle.architecture.dtype == "float64" and "text" not in bundle.kinds.values()
    return TOLERANCE_OF_FLOAT64 if is_exact else GOLDEN_TOLERANCE


def difference(bundle: Bundle, found: Array, expected: Array) -> float:
    """Return the largest difference of answers (n_rows, n_answers), in units of the output's scale plus its size.

    It is infinite where an answer is not a number.
    """
    apart = np.abs(found - expected) / bundle.predictor.decoder.room(expected)
    return float(np.where(np.isfinite(apart), apart, np.inf).max(initial=0.0))
