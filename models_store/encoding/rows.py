"""Raw rows to network inputs, and network outputs to raw answers.

InputEncoder    raw numbers (n, n_columns) -> monomials -> Scaler -> float32 (n, n_inputs)
TableEncoder    raw Table -> one ColumnEncoder a column, side by side -> float32 (n, n_inputs)
OutputDecoder   raw (n, n_outputs) <- Scaler.inverse <- float32 (n, n_outputs)
LabelDecoder    probabilities (n, n_labels) <- sigmoid or softmax outputs
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, isfinite
from typing import Any, Literal, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Dtype, Encoded
from models_store.encoding.columns import ColumnEncoder, encoder_from_dict
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import NUMBER, Kind, Raw, Table

# Kinds of labels as they stood in the data; what is stored is text.
LabelKind = Literal["text", "number", "boolean"]


class Encoder(Protocol):
    """Raw rows -> network inputs."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def kinds(self) -> dict[str, Kind]:
        """Of each column, in order."""

    @property
    def n_inputs(self) -> int: ...

    def encode(self, raw: Raw) -> Encoded: ...

    def to_dict(self) -> dict[str, Any]: ...


class Decoder(Protocol):
    """Network outputs -> raw answers, float64 (n_rows, n_answers): numbers in raw units, or probabilities of labels."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def n_outputs(self) -> int:
        """How many outputs the network has."""

    def encode(self, raw: Array) -> Encoded: ...

    def decode(self, encoded: Encoded) -> Array: ...

    def named(self, answers: Array) -> dict[str, NDArray[Any]]:
        """Answers as the data had them: a column of values for every output."""

    def room(self, expected: Array) -> Array:
        """The size of an answer, to say what a small difference is."""

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class InputEncoder:
    """Columns in order, all their monomials up to `degree`, scaled by numbers learned from training rows."""

    columns: tuple[str, ...]
    degree: int
    scaler: Scaler
    dtype: Dtype = "float32"

    def encode(self, raw: Raw) -> Encoded:
        """`raw` float64 (n_rows, n_columns) -> (n_rows, n_inputs); what is too large for the dtype becomes inf."""
        assert isinstance(raw, np.ndarray)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.scaler.transform(monomials(raw, self.degree)).astype(self.dtype)

    @property
    def kinds(self) -> dict[str, Kind]:
        return dict.fromkeys(self.columns, "number")

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
class TableEncoder:
    """A column encoder for each column, by name; their inputs stand side by side in this order."""

    encoders: dict[str, ColumnEncoder]
    dtype: Dtype = "float32"
    spelling: Spelling = PLAIN

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.encoders)

    @property
    def kinds(self) -> dict[str, Kind]:
        return {name: encoder.kind for name, encoder in self.encoders.items()}

    @property
    def n_inputs(self) -> int:
        return sum(encoder.width for encoder in self.encoders.values())

    def encode(self, raw: Raw) -> Encoded:
        """Column by column into one array (n_rows, n_inputs), so that a large table is never held twice."""
        assert isinstance(raw, Table)
        encoded = np.empty((len(raw), self.n_inputs), dtype=self.dtype)
        end = 0
        with np.errstate(over="ignore", invalid="ignore"):
            for name, encoder in self.encoders.items():
                begin, end = end, end + encoder.width
                encoded[:, begin:end] = encoder.encode(raw.columns[name])
        return encoded

    def to_dict(self) -> dict[str, Any]:
        return {
            "table": {name: encoder.to_dict() for name, encoder in self.encoders.items()},
            "dtype": self.dtype,
            "spelling": self.spelling.to_dict(),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        encoders = {name: encoder_from_dict(column) for name, column in dict(saved["table"]).items()}
        spelling = Spelling.from_dict(saved["spelling"]) if "spelling" in saved else PLAIN
        return cls(encoders, saved["dtype"], spelling)


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

    @property
    def n_outputs(self) -> int:
        return len(self.columns)

    def named(self, answers: Array) -> dict[str, NDArray[Any]]:
        return dict(zip(self.columns, answers.T, strict=True))

    def room(self, expected: Array) -> Array:
        return self.scaler.scale + np.abs(expected)

    def to_dict(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "scaler": self.scaler.to_dict(), "dtype": self.dtype}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        decoder = cls(tuple(saved["columns"]), Scaler.from_dict(saved["scaler"]), saved["dtype"])
        if len(decoder.scaler.offset) != len(decoder.columns):
            raise BundleDamaged("the output scaler does not belong to the output columns")
        return decoder


@dataclass(frozen=True, eq=False)
class LabelDecoder:
    """One output column of labels. Two of them share one sigmoid output, more have a softmax output each.

    `encode` takes the labels' numbers (n_rows, 1), as the order of `labels` gives them.
    """

    column: str
    labels: tuple[str, ...]
    kind: LabelKind = "text"
    is_one_hot: bool = False
    """Whether a network of several labels learns from one-hot rows, or from the labels' numbers."""
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
        if self.is_one_hot and not self.is_binary:
            return cast(Encoded, np.eye(len(self.labels), dtype=self.dtype)[raw[:, 0].astype(int)])
        return raw.astype(self.dtype)

    def decode(self, encoded: Encoded) -> Array:
        """Network outputs -> the probability of each label (n_rows, n_labels), which sum to 1."""
        outputs = encoded.astype(np.float64)
        if self.is_binary:
            return np.concatenate([1.0 - outputs, outputs], axis=1)
        probabilities: Array = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    @property
    def values(self) -> NDArray[Any]:
        """The labels as they stood in the data."""
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
        """The most probable label of each row."""
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
        labels = tuple(saved["labels"])
        if len(labels) < 2 or len(set(labels)) != len(labels) or not all(isinstance(label, str) for label in labels):
            raise BundleDamaged("the labels of the output are not two or more different texts")
        if not _are_of(saved["kind"], labels):
            raise BundleDamaged("the labels of the output are not of the kind that they are said to be")
        return cls(saved["column"], labels, saved["kind"], bool(saved["is_one_hot"]), saved["dtype"])


def _are_of(kind: LabelKind, labels: tuple[str, ...]) -> bool:
    if kind == "number":
        return all(NUMBER.fullmatch(label) and isfinite(float(label)) for label in labels)
    return kind == "text" or (kind == "boolean" and set(labels) == {"true", "false"})


def input_encoder_from(saved: dict[str, Any]) -> Encoder:
    return TableEncoder.from_dict(saved) if "table" in saved else InputEncoder.from_dict(saved)


def output_decoder_from(saved: dict[str, Any]) -> Decoder:
    return LabelDecoder.from_dict(saved) if "labels" in saved else OutputDecoder.from_dict(saved)


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
