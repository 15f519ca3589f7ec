"""The rows that validate each member of a network, side by side."""

import numpy as np
from numpy.typing import NDArray

LeftOut = NDArray[np.bool_] | None
"""True where a member does not learn from a row, and is validated by it, (n_rows, members); None: all take all rows."""
NONE = -1


def validating(n_rows: int, left_out: LeftOut, axis: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the row numbers of each member, int32 (longest, *axis); short columns end with NONE.

    `axis` is (members,), or () of a network of one.
    """
    rows = np.arange(n_rows, dtype=np.int32)
    if left_out is None:
        return np.broadcast_to(rows.reshape(-1, *(1 for _ in axis)), (n_rows, *axis))
    places = np.cumsum(left_out, axis=0) - 1
    row, member = np.nonzero(left_out)
    found = np.full((places[-1].max() + 1, *axis), NONE, np.int32)
    found[places[row, member], member] = row
    return found
