"""Network outputs to raw answers, and raw targets to what the network learns.

OutputDecoder   numbers in raw units (n_rows, n_outputs) <- [ Logarithm.inverse ] <- Scaler.inverse <- outputs
LabelDecoder    probabilities (n_rows, n_labels) <- sigmoid or softmax outputs
"""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, Protocol, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Dtype, Encoded
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.tables.number_syntax import NUMBER

# The kind of labels as the data had them; they are stored as texts.
LabelKind = Literal["text", "number", "boolean"]


class Decoder(Protocol):
    """Network outputs to raw answers, and raw targets to what the network learns."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def n_outputs(self) -> int:
        """The number of network outputs."""

    def encode(self, raw: Array) -> Encoded:
        """Return what the network learns, in its dtype, of raw targets, float64 (n_rows, n_targets)."""

    def decode(self, encoded: Encoded) -> Array:
        """Return answers, float64 (n_rows, n_answers), of network outputs (n_rows, n_outputs).

        They are numbers in raw units, or the probability of each label.
        """

    def named(self, answers: Array) -> dict[str, NDArray[Any]]:
        """Return answers (n_rows, n_answers) as the data had them: an array (n_rows,) for each output column."""

    def room(self, expected: Array) -> Array:
        """Return the size of each answer, in the shape of `expected`: a difference is small in proportion to it."""

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Logarithm:
    """The map `log(raw + shift)` of columns of numbers from 0 on; all float64 (n_columns,).

    Its inverse is bounded: answers lie between 0 and `highest`, whatever a network says.
    """

    shift: Array
    """Above 0."""
    highest: Array

    def transform(self, raw: Array) -> Array:
        """Return logarithms, float64 (n_rows, n_columns), of raw numbers that are not negative."""
        return np.log(raw + self.shift)

    def inverse(self, logarithms: Array) -> Array:
        """Return raw numbers, float64 (n_rows, n_columns), from 0 to `highest`; NaN stays NaN."""
        raw = np.exp(np.minimum(logarithms, np.log(self.highest + self.shift))) - self.shift
        return np.clip(raw, 0.0, self.highest)

    def to_dict(self) -> dict[str, Any]:
        return {"shift": self.shift.tolist(), "highest": self.highest.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where the numbers are not finite and above 0, LookupError where a field is missing."""
        shift, highest = (np.asarray(saved[name], dtype=np.float64) for name in ("shift", "highest"))
        both = np.concatenate([shift.reshape(-1), highest.reshape(-1)])
        if shift.ndim != 1 or shift.shape != highest.shape or not (np.isfinite(both) & (both > 0)).all():
            raise BundleDamaged("logarithm: shift and highest must be lists of one length, of finite numbers above 0")
        return cls(shift, highest)


@dataclass(frozen=True, eq=False)
class OutputDecoder:
    """Output columns of numbers in order, and the scaler that was learned from their training rows."""

    columns: tuple[str, ...]
    scaler: Scaler
    """Of the numbers, or of their logarithms."""
    dtype: Dtype = "float32"
    logarithm: Logarithm | None = None
    """None: the network learns the numbers as they are."""

    def encode(self, raw: Array) -> Encoded:
        """Return scaled targets, in the dtype of the network, of raw targets, float64 (n_rows, n_outputs)."""
        return self.scaler.transform(raw if self.logarithm is None else self.logarithm.transform(raw)).astype(
            self.dtype
        )

    def decode(self, encoded: Encoded) -> Array:
        """Return numbers in raw units, float64 (n_rows, n_outputs), of network outputs of the same shape."""
        found = self.scaler.inverse(encoded.astype(np.float64))
        return found if self.logarithm is None else self.logarithm.inverse(found)

    @property
    def of_logarithms(self) -> "OutputDecoder":
        """The decoder that answers what the scaler is of: the logarithms, where there are some."""
        return replace(self, logarithm=None)

    @property
    def n_outputs(self) -> int:
        return len(self.columns)

    def named(self, answers: Array) -> dict[str, NDArray[Any]]:
        return dict(zip(self.columns, answers.T, strict=True))

    def room(self, expected: Array) -> Array:
        if self.logarithm is None:
            return self.scaler.scale + np.abs(expected)
        # What a small difference of logarithms makes of an answer grows with it.
        return (1 + self.scaler.scale) * (self.logarithm.shift + np.abs(expected))

    def to_dict(self) -> dict[str, Any]:
        saved = {"columns": list(self.columns), "scaler": self.scaler.to_dict(), "dtype": self.dtype}
        return saved if self.logarithm is None else saved | {"logarithm": self.logarithm.to_dict()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where the scaler is of other columns, LookupError where a field is missing."""
        logarithm = Logarithm.from_dict(saved["logarithm"]) if "logarithm" in saved else None
        decoder = cls(tuple(saved["columns"]), Scaler.from_dict(saved["scaler"]), saved["dtype"], logarithm)
        learned = {"scaler": decoder.scaler.offset} | ({"logarithm": logarithm.shift} if logarithm else {})
        for name, numbers in learned.items():
            if len(numbers) != len(decoder.columns):
                raise BundleDamaged(f"decoder: {name} is of {len(numbers)} columns; there are {len(decoder.columns)}")
        return decoder


@dataclass(frozen=True, eq=False)
class LabelDecoder:
    """One output column of labels: two of them share one sigmoid output, more have a softmax output each.

    A label's number is its place in `labels`.
    """

    column: str
    labels: tuple[str, ...]
    kind: LabelKind = "text"
    is_one_hot: bool = False
    """True if a network of three or more labels learns from one-hot rows, False if from the labels' numbers."""
    dtype: Dtype = "float32"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def is_binary(self) -> bool:
        return len(self.labels) == 2

    @property
    def n_outputs(self) -> int:
        return 1 if self.is_binary else len(self.labels)

    def encode(self, raw: Array) -> Encoded:
        """Return what the network learns of the labels' numbers, (n_rows, 1): the same, or rows (n_rows, n_labels)."""
        if self.is_one_hot and not self.is_binary:
            return cast(Encoded, np.eye(len(self.labels), dtype=self.dtype)[raw[:, 0].astype(int)])
        return raw.astype(self.dtype)

    def decode(self, encoded: Encoded) -> Array:
        """Return probabilities, float64 (n_rows, n_labels), of network outputs (n_rows, n_outputs); a row sums to 1."""
        outputs = encoded.astype(np.float64)
        if self.is_binary:
            return np.concatenate([1.0 - outputs, outputs], axis=1)
        probabilities: Array = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    @property
    def values(self) -> NDArray[Any]:
        """The labels as the data had them, (n_labels,): texts, numbers or booleans."""
        match self.kind:
            case "number":
                numbers = [float(label) for label in self.labels]
                are_whole = all(number.is_integer() and abs(number) < 2**53 for number in numbers)
                return np.array([int(number) for number in numbers] if are_whole else numbers)
            case "boolean":
                return np.array([label == "true" for label in self.labels])
            case "text":
                return np.array(self.labels, dtype=object)

    def named(self, answers: Array) -> dict[str, NDArray[Any]]:
        """Return the most probable label of each row, of probabilities (n_rows, n_labels)."""
        return {self.column: self.values[answers.argmax(axis=1)]}

    def room(self, expected: Array) -> Array:
        return np.ones_like(expected)

    def to_dict(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "labels": list(self.labels),
            "kind": self.kind,
            "is_one_hot": self.is_one_hot,
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where labels and kind do not match, LookupError where a field is missing."""
        labels = tuple(saved["labels"])
        if len(labels) < 2 or len(set(labels)) != len(labels) or not all(isinstance(label, str) for label in labels):
            raise BundleDamaged("decoder: labels must be two or more different texts")
        if not _are_of(saved["kind"], labels):
            raise BundleDamaged(f"decoder: kind must be one of {', '.join(get_args(LabelKind))}, and fit the labels")
        return cls(saved["column"], labels, saved["kind"], bool(saved["is_one_hot"]), saved["dtype"])


def _are_of(kind: LabelKind, labels: tuple[str, ...]) -> bool:
    if kind == "number":
        return all(NUMBER.fullmatch(label) and isfinite(float(label)) for label in labels)
    return kind == "text" or (kind == "boolean" and set(labels) == {"true", "false"})


def output_decoder_from(saved: dict[str, Any]) -> Decoder:
    """Raises BundleDamaged, or LookupError where a field is missing."""
    return LabelDecoder.from_dict(saved) if "labels" in saved else OutputDecoder.from_dict(saved)
