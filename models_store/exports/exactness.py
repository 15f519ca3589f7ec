"""How near the answers of an export come to the server's."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models_store.arrays import Array, Dtype
from models_store.bundle import GOLDEN_TOLERANCE, Bundle
from models_store.errors import ExportDiffers

# Of float64, whose sums are ordered differently from engine to engine; ill-conditioned networks lose most digits.
TOLERANCE_OF_FLOAT64 = 1e-9


def tolerance_of(bundle: Bundle, computes: Dtype = "float64") -> float:
    """Return how much an answer may differ, in units of the output's scale plus its size.

    A float32 network may differ as much as it may from one device to another, and so may a format that computes in
    float32. Texts are encoded in float32.
    """
    dtypes = {bundle.architecture.dtype, computes}
    is_exact = dtypes == {"float64"} and "text" not in bundle.kinds.values()
    return TOLERANCE_OF_FLOAT64 if is_exact else GOLDEN_TOLERANCE


def difference(bundle: Bundle, found: Array, expected: Array) -> float:
    """Return the largest difference of answers (n_rows, n_answers), in units of the output's scale plus its size.

    It is infinite where an answer is not a number.
    """
    apart = np.abs(found - expected) / bundle.predictor.decoder.room(expected)
    return float(np.where(np.isfinite(apart), apart, np.inf).max(initial=0.0))


def check_names(found: Sequence[str], expected: Sequence[str]) -> None:
    """Raise ExportDiffers where the columns of the answers are called otherwise than the server calls them."""
    if [*found] != [*expected]:
        raise ExportDiffers("its answers have other columns than the server's")


def check_labels(found: Sequence[Any], labels: Sequence[Any], probabilities: Array) -> None:
    """Raise ExportDiffers where a row's label (n_rows,) is not its most probable one (n_rows, n_labels).

    That is of its own probabilities: of two that are nearly equal, the server's may be the other.
    """
    expected = (labels[place] for place in probabilities.argmax(axis=1))
    if n_others := sum(label != other for label, other in zip(found, expected, strict=True)):
        raise ExportDiffers(f"in {n_others} of {len(found)} rows its label is not the most probable one")
