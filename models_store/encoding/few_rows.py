"""The numbers of a few rows, encoded all at once: one by one, the columns of one row take several times as long."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Encoded
from models_store.encoding.numbers import NumberEncoder

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NumbersAtOnce:
    """Several number encoders side by side; each input is, to the bit, what its encoder says alone."""

    medians: Array
    """(n_columns,), as are offsets, scales and `scaled_at`: where the scaled column goes among the network inputs."""
    offsets: Array
    scales: Array
    scaled_at: Places
    columns: Places
    """The column of each piece, (n_pieces,), as are the next five."""
    lows: Array
    spans: Array
    floors: Array
    ceilings: Array
    pieces_at: Places
    flagged: Places
    """The columns that say whether a value is missing, and where."""
    flags_at: Places

    @classmethod
    def of(cls, encoders: Sequence[NumberEncoder], begins: Sequence[int]) -> Self:
        """`begins` are the places of the encoders' first inputs among those of the network."""
        edges = [encoder.edges for encoder in encoders]
        n_pieces = [max(0, len(each) - 1) for each in edges]
        flagged = [place for place, encoder in enumerate(encoders) if encoder.takes_missing]
        firsts = [end - n for end, n in zip(accumulate(n_pieces), n_pieces, strict=True) if n]
        lasts = [end - 1 for end, n in zip(accumulate(n_pieces), n_pieces, strict=True) if n]
        floors, ceilings = np.zeros(sum(n_pieces)), np.ones(sum(n_pieces))
        floors[firsts], ceilings[lasts] = -np.inf, np.inf
        return cls(
            medians=np.array([encoder.median for encoder in encoders]),
            offsets=np.array([encoder.scaler.offset[0] for encoder in encoders]),
            scales=np.array([encoder.scaler.scale[0] for encoder in encoders]),
            scaled_at=np.array(begins, dtype=np.int64),
            columns=np.repeat(np.arange(len(encoders)), n_pieces),
            lows=np.concatenate([each[:-1] for each in edges]),
            spans=np.concatenate([np.diff(each) for each in edges]),
            floors=floors,
            ceilings=ceilings,
            pieces_at=np.concatenate(
                [begin + 1 + np.arange(n) for begin, n in zip(begins, n_pieces, strict=True)]
            ).astype(np.int64),
            flagged=np.array(flagged, dtype=np.int64),
            flags_at=np.array([begins[place] + encoders[place].width - 1 for place in flagged], dtype=np.int64),
        )

    def encode(self, columns: Sequence[Array], encoded: Encoded) -> None:
        """Write the inputs of these columns, float64 (n_rows,) each, to their places in `encoded`."""
        numbers = np.array(columns).T
        missing = np.isnan(numbers)
        filled = np.where(missing, self.medians, numbers)
        encoded[:, self.scaled_at] = (filled - self.offsets) / self.scales
        risen = (filled[:, self.columns] - self.lows) / self.spans
        encoded[:, self.pieces_at] = np.minimum(np.maximum(risen, self.floors), self.ceilings)
        if len(self.flagged):
            encoded[:, self.flags_at] = missing[:, self.flagged]
