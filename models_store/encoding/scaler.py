"""An invertible affine map of columns, in float64: `scaled = (raw - offset) / scale`."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from models_store.arrays import Array
from models_store.errors import BundleDamaged

Method = Literal["standard", "minmax", "none"]
Scope = Literal["per-column", "global"]

# A column whose width is less than this share of its largest value holds rounding errors, not a signal.
NEGLIGIBLE = 8 * float(np.finfo(np.float64).eps)
# Beyond these, squares or their sum may overflow a float64 or underflow to 0.
LARGE, SMALL = 1e140, 1e-140


@dataclass(frozen=True, eq=False)
class Scaler:
    """`offset` and `scale`: float64 (n_columns,), finite, no scale zero."""

    method: Method
    offset: Array
    scale: Array

    @classmethod
    def fit(cls, method: Method, rows: Array, scope: Scope = "per-column") -> Self:
        """Learn from `rows`, float64 (n_rows, n_columns): offset and scale of each column, or one pair for all."""
        if method == "none":
            return cls.identity(rows.shape[1])
        return cls.standard(rows, scope) if method == "standard" else cls.minmax(rows, scope)

    @classmethod
    def standard(cls, rows: Array, scope: Scope = "per-column") -> Self:
        """Learn the mean and the standard deviation; a constant column has scale 1."""
        seen = _columns(rows, scope)
        size = np.abs(seen).max(axis=0)
        is_extreme = (size > LARGE) | ((size < SMALL) & (size > 0))
        unit = np.where(is_extreme, size, 1.0)
        usual = seen / unit if is_extreme.any() else seen
        return cls._spread("standard", size, usual.mean(axis=0) * unit, usual.std(axis=0) * unit, rows.shape[1])

    @classmethod
    def minmax(cls, rows: Array, scope: Scope = "per-column") -> Self:
        """Learn the minimum and the range; a constant column has scale 1."""
        seen = _columns(rows, scope)
        size = np.abs(seen).max(axis=0)
        return cls._spread("minmax", size, seen.min(axis=0), np.ptp(seen, axis=0), rows.shape[1])

    @classmethod
    def identity(cls, n_columns: int) -> Self:
        return cls("none", np.zeros(n_columns), np.ones(n_columns))

    @classmethod
    def _spread(cls, method: Method, size: Array, offset: Array, width: Array, n_columns: int) -> Self:
        usable = width > NEGLIGIBLE * size
        scale = np.where(usable, width, 1.0)
        return cls(method, np.resize(offset, n_columns), np.resize(scale, n_columns))

    @property
    def is_global(self) -> bool:
        return self.has_one_scale and bool(np.all(self.offset == self.offset[0]))

    @property
    def has_one_scale(self) -> bool:
        return bool(np.all(self.scale == self.scale[0]))

    def shared_with(self, n_columns: int) -> "Scaler":
        """Return a scaler of other columns with this offset and scale. Raises ValueError unless it `is_global`."""
        if not self.is_global:
            raise ValueError("only a scaler with global scope can be shared with other columns")
        return Scaler(self.method, np.full(n_columns, self.offset[0]), np.full(n_columns, self.scale[0]))

    def transform(self, raw: Array) -> Array:
        """Return scaled rows, float64 (n_rows, n_columns)."""
        scaled = raw - self.offset
        scaled /= self.scale  # in place: memory for many rows costs more than the division
        return scaled

    def inverse(self, scaled: Array) -> Array:
        """Return raw rows, float64 (n_rows, n_columns)."""
        raw: Array = scaled * self.scale
        raw += self.offset
        return raw

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "offset": self.offset.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where offset and scale are not finite numbers of the same columns, or a scale is 0."""
        offset = np.asarray(saved["offset"], dtype=np.float64)
        scale = np.asarray(saved["scale"], dtype=np.float64)
        if offset.ndim != 1 or offset.shape != scale.shape:
            raise BundleDamaged(
                f"scaler: offset and scale must be lists of one length; shapes {offset.shape}, {scale.shape}"
            )
        if not (np.isfinite(offset).all() and np.isfinite(scale).all() and scale.all()):
            raise BundleDamaged("scaler: offset and scale must be finite, and no scale 0")
        return cls(saved["method"], offset, scale)


def _columns(rows: Array, scope: Scope) -> Array:
    return rows.reshape(-1, 1) if scope == "global" else rows
