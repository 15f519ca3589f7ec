"""Raw rows to network inputs, and network outputs to raw answers.

raw (n, n_columns) -> monomials -> Scaler -> float32 (n, n_inputs)
raw (n, n_outputs) <- Scaler.inverse <- float32 (n, n_outputs)
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models_store.errors import BundleDamaged
from models_store.scaler import Array, Scaler

Encoded = NDArray[np.float32] | NDArray[np.float64]
Dtype = Literal["float32", "float64"]


@dataclass(frozen=True, eq=False)
class InputEncoder:
    """Columns in order, all their monomials up to `degree`, scaled by numbers learned from training rows."""

    columns: tuple[str, ...]
    degree: int
    scaler: Scaler
    dtype: Dtype = "float32"

    def encode(self, raw: Array) -> Encoded:
        """`raw` float64 (n_rows, n_columns) -> (n_rows, n_inputs); what is too large for the dtype becomes inf."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.scaler.transform(monomials(raw, self.degree)).astype(self.dtype)

    @property
    def n_inputs(self) -> int:
        return len(self.scaler.offset)

    def to_dict(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "degree": self.degree,
            "scaler": self.scaler.to_dict(),
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        encoder = cls(tuple(saved["columns"]), saved["degree"], Scaler.from_dict(saved["scaler"]), saved["dtype"])
        if encoder.n_inputs != n_monomials(len(encoder.columns), encoder.degree):
            raise BundleDamaged("the input scaler does not belong to the input columns")
        return encoder


@dataclass(frozen=True, eq=False)
class OutputDecoder:
    """Output columns in order, and the scaler that their training values went through."""

    columns: tuple[str, ...]
    scaler: Scaler
    dtype: Dtype = "float32"

    def encode(self, raw: Array) -> Encoded:
        """Raw targets, float64 (n_rows, n_outputs) -> what the network learns to answer."""
        return self.scaler.transform(raw).astype(self.dtype)

    def decode(self, encoded: Encoded) -> Array:
        """Network outputs (n_rows, n_outputs) -> raw answers, float64 of the same shape."""
        return self.scaler.inverse(encoded.astype(np.float64))

    def to_dict(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "scaler": self.scaler.to_dict(), "dtype": self.dtype}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        decoder = cls(tuple(saved["columns"]), Scaler.from_dict(saved["scaler"]), saved["dtype"])
        if len(decoder.scaler.offset) != len(decoder.columns):
            raise BundleDamaged("the output scaler does not belong to the output columns")
        return decoder


def monomials(raw: Array, degree: int) -> Array:
    """x1, x2 -> x1, x2, x1², x1·x2, x2² for degree 2: every product of up to `degree` columns, none of degree 0."""
    if degree == 1:
        return raw
    n_columns = raw.shape[1]
    products = [
        raw[:, factors].prod(axis=1)
        for size in range(1, degree + 1)
        for factors in combinations_with_replacement(range(n_columns), size)
    ]
    return np.stack(products, axis=1)


def n_monomials(n_columns: int, degree: int) -> int:
    """How many `monomials` makes: C(n_columns + degree, degree) - 1."""
    return comb(n_columns + degree, degree) - 1
