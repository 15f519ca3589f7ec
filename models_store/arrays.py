"""Types of the arrays that rows are on their way: raw numbers, and what a network computes with."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Encoded = NDArray[np.float32] | NDArray[np.float64]
Dtype = Literal["float32", "float64"]
