"""Rows and answers, counted in the cells of histograms: all columns of numbers at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models_store.arrays import Array
from models_store.encoding.outputs import Decoder, LabelDecoder
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.profiles.histogram import MISSING, OF_VALUES, OUTSIDE, UNSEEN, Counts, Histogram
from models_store.tables.table import Raw, Table, Values


@dataclass(frozen=True, eq=False)
class Numbers:
    """Columns of numbers side by side, and where the cells of each begin."""

    histograms: tuple[Histogram, ...]
    starts: Counts
    edges: tuple[Array, ...]
    """The first edge of each column, float64 (n_columns,), then the second; infinite where a column has no more."""
    ends: Counts
    """One past the last cell of each column."""
    lowest: Array
    highest: Array

    @classmethod
    def of(cls, histograms: Sequence[Histogram], starts: Sequence[int]) -> Self:
        most = max((len(histogram.edges) for histogram in histograms), default=0)
        edges = np.full((most, len(histograms)), np.inf)
        for place, histogram in enumerate(histograms):
            edges[: len(histogram.edges), place] = histogram.edges
        firsts = np.array(starts, dtype=np.int64)
        sizes = np.array([histogram.n_cells for histogram in histograms], dtype=np.int64)
        lowest, highest = (np.array([getattr(one, end) for one in histograms]) for end in ("lowest", "highest"))
        return cls(tuple(histograms), firsts, tuple(edges), firsts + sizes, lowest, highest)

    def count(self, numbers: Array, counts: Counts, is_unseen: Array | None = None) -> None:
        """Add numbers, float64 (n_rows, n_columns), NaN where missing, to the cells; `is_unseen` of the same shape."""
        cells = np.repeat(self.starts[None, :], len(numbers), axis=0)
        for edge in self.edges:
            cells += numbers >= edge
        if is_unseen is not None:
            cells = np.where(is_unseen, self.ends + UNSEEN, cells)
        cells = np.where(np.isnan(numbers), self.ends + MISSING, cells)
        counts += np.bincount(cells.ravel(), minlength=len(counts))
        counts[self.ends + OUTSIDE] += ((numbers < self.lowest) | (numbers > self.highest)).sum(axis=0)


@dataclass(frozen=True, eq=False)
class Counting:
    """The histograms of a version, with what its rows and answers are counted by."""

    inputs: tuple[Histogram, ...]
    encoder: Encoder
    decoder: Decoder
    n_cells: int
    numbers: Numbers
    answers: Numbers
    categories: tuple[tuple[Histogram, int, dict[str | None, int]], ...]
    """Of each column of categories: its first cell, and the cell of each value with a bucket, and of missing ones."""
    labels: Counts | None
    """The cell of each label, by its number; None if answers are numbers."""

    @classmethod
    def of(cls, inputs: Sequence[Histogram], outputs: Sequence[Histogram], encoder: Encoder, decoder: Decoder) -> Self:
        sizes = [histogram.n_cells for histogram in (*inputs, *outputs)]
        starts = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
        numbers = [(one, start) for one, start in zip(inputs, starts, strict=False) if one.kind not in OF_VALUES]
        first = starts[len(inputs)]
        is_label = isinstance(decoder, LabelDecoder)
        return cls(
            tuple(inputs),
            encoder,
            decoder,
            n_cells=starts[-1],
            numbers=Numbers.of([one for one, _ in numbers], [start for _, start in numbers]),
            answers=Numbers.of(() if is_label else outputs, () if is_label else starts[len(inputs) : -1]),
            categories=tuple(
                (one, start, _cells_of_values(one, start))
                for one, start in zip(inputs, starts, strict=False)
                if one.kind in OF_VALUES
            ),
            labels=_cells_of_labels(outputs[0], first, decoder.labels) if isinstance(decoder, LabelDecoder) else None,
        )

    def count(self, raw: Raw, answers: Array | None) -> Counts:
        """Return how many rows, and how many answers, are in each cell: int64 (n_cells,).

        The answers are those of as many rows or of others, float64 (m_rows, n_answers), or none.
        """
        counts = np.zeros(self.n_cells, dtype=np.int64)
        if isinstance(raw, Table):
            self._count_table(raw, counts)
        else:
            self.numbers.count(raw[:, : len(self.inputs)], counts)
        if answers is None:
            return counts
        if self.labels is None:
            self.answers.count(answers[:, : len(self.answers.histograms)], counts)
        else:
            counts += np.bincount(self.labels[answers.argmax(axis=1)], minlength=self.n_cells)
        return counts

    def _count_table(self, table: Table, counts: Counts) -> None:
        assert isinstance(self.encoder, TableEncoder)
        encoders = self.encoder.encoders
        if named := self.numbers.histograms:
            numbers = np.stack([_numbers_of(one, table.columns[one.name]) for one in named], axis=1)
            is_unseen = None
            if any(one.kind == "text" for one in named):
                none = np.zeros(len(table), dtype=bool)
                unknown = [encoders[one.name].unknown(table.columns[one.name]) for one in named if one.kind == "text"]
                found = iter(unknown)
                is_unseen = np.stack([next(found) if one.kind == "text" else none for one in named], axis=1)
            self.numbers.count(numbers, counts, is_unseen)
        for histogram, start, cells in self.categories:
            values = table.columns[histogram.name]
            others = start + len(histogram.values)
            found_in = np.fromiter((cells.get(value, others) for value in values), np.int64, len(values))
            is_other = found_in == others
            if is_other.any():
                is_other &= encoders[histogram.name].unknown(values)
                found_in[is_other] = start + histogram.n_cells + UNSEEN
            counts += np.bincount(found_in, minlength=self.n_cells)


def _numbers_of(histogram: Histogram, values: Values) -> Array:
    """Return the numbers (n_rows,) that a column is counted by, NaN where missing: of texts, their lengths."""
    if histogram.kind == "text":
        return np.array([np.nan if text is None else len(text) for text in values], dtype=np.float64)
    return values.astype(np.float64, copy=False)


def _cells_of_values(histogram: Histogram, start: int) -> dict[str | None, int]:
    cells: dict[str | None, int] = {value: start + place for place, value in enumerate(histogram.values)}
    return cells | {None: start + histogram.n_cells + MISSING}


def _cells_of_labels(histogram: Histogram, start: int, labels: Sequence[str]) -> Counts:
    cells = {value: start + place for place, value in enumerate(histogram.values)}
    return np.array([cells.get(label, start + len(histogram.values)) for label in labels], dtype=np.int64)
