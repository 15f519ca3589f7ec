"""Types of the arrays that rows become: raw numbers, and the numbers that a network computes with."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Encoded = NDArray[np.float32] | NDArray[np.float64]
Dtype = Literal["float32", "float64"]
