"""The profile of a version: what its training rows held, and what it answered, as histograms of all columns."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from models_store.arrays import Array
from models_store.encoding.outputs import Decoder, LabelDecoder
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.errors import BundleDamaged
from models_store.profiles.counting import Counting
from models_store.profiles.histogram import Counts, Histogram
from models_store.tables.table import Raw, Table, Values

# Inputs, and outputs, that are counted: of more, what is kept of an hour would be large.
MOST_INPUTS, MOST_OUTPUTS = 1000, 100


@dataclass(frozen=True, eq=False)
class Profile:
    """The histograms of the inputs and of the outputs, and how many rows each of their cells had."""

    inputs: tuple[Histogram, ...]
    outputs: tuple[Histogram, ...]
    training: Counts
    """Training rows in each cell, int64 (n_cells,); of the outputs, rows that the trained network answered."""

    @classmethod
    def learn(cls, raw: Raw, answers: Array, encoder: Encoder, decoder: Decoder) -> Self:
        """Learn from training rows, and from answers to rows that are like requests, float64 (m_rows, n_answers)."""
        inputs, outputs = _inputs(raw, encoder), _outputs(answers, decoder)
        return cls(inputs, outputs, Counting.of(inputs, outputs, encoder, decoder).count(raw, answers))

    def counting(self, encoder: Encoder, decoder: Decoder) -> Counting:
        """Return what counts other rows; encoder and decoder are those of the version."""
        return Counting.of(self.inputs, self.outputs, encoder, decoder)

    @property
    def n_cells(self) -> int:
        return len(self.training)

    def cells(self, counts: Counts) -> Iterator[tuple[Histogram, Counts, Counts]]:
        """Yield each histogram with its cells of the training rows, and those of `counts` (n_cells,)."""
        start = 0
        for histogram in (*self.inputs, *self.outputs):
            own = slice(start, start + histogram.n_cells)
            yield histogram, self.training[own], counts[own]
            start += histogram.n_cells

    def to_bytes(self) -> bytes:
        saved = {
            "inputs": [histogram.to_dict() for histogram in self.inputs],
            "outputs": [histogram.to_dict() for histogram in self.outputs],
            "training": self.training.tolist(),
        }
        return json.dumps(saved, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, saved: bytes) -> Self:
        """Raises BundleDamaged, LookupError or ValueError where it is not what `to_bytes` writes."""
        fields = json.loads(saved)
        inputs, outputs = (tuple(map(Histogram.from_dict, fields[name])) for name in ("inputs", "outputs"))
        training = np.asarray(fields["training"], dtype=np.int64)
        n_cells = sum(histogram.n_cells for histogram in (*inputs, *outputs))
        if training.shape != (n_cells,) or (training < 0).any():
            raise BundleDamaged(f"training: expected {n_cells} numbers of rows")
        return cls(inputs, outputs, training)


def _inputs(raw: Raw, encoder: Encoder) -> tuple[Histogram, ...]:
    kinds = list(encoder.kinds.items())[:MOST_INPUTS]
    if not isinstance(raw, Table):
        return tuple(Histogram.of_numbers(name, kind, raw[:, place]) for place, (name, kind) in enumerate(kinds))
    assert isinstance(encoder, TableEncoder)
    return tuple(_input(name, encoder, raw.columns[name]) for name, _ in kinds)


def _input(name: str, encoder: TableEncoder, values: Values) -> Histogram:
    column = encoder.encoders[name]
    match column.kind:
        case "category":
            known = values[~column.unknown(values)]
            return Histogram.of_values(name, "category", Counter(value for value in known if value is not None))
        case "text":
            return Histogram.of_lengths(name, np.array([float(len(text)) for text in values if text is not None]))
        case "boolean":
            return Histogram.of_booleans(name)
    numbers = values.astype(np.float64)
    return Histogram.of_numbers(name, column.kind, numbers[~np.isnan(numbers)])


def _outputs(answers: Array, decoder: Decoder) -> tuple[Histogram, ...]:
    if isinstance(decoder, LabelDecoder):
        said = Counter(decoder.labels[place] for place in answers.argmax(axis=1))
        return (Histogram.of_values(decoder.column, "label", said),)
    columns = list(zip(decoder.columns, answers.T, strict=True))[:MOST_OUTPUTS]
    return tuple(Histogram.of_numbers(name, "number", numbers) for name, numbers in columns)
