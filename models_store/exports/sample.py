"""Rows to try an export with: the golden rows, and rows drawn from what the training rows held.

Cells are texts, as a CSV file holds them, None where one is missing; missing and unseen values are among them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.bundle import Bundle, Predictor
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.dates import DateEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.texts import TextEncoder
from models_store.encoding.times import DurationEncoder, TimeEncoder
from models_store.tables.missing_words import is_among
from models_store.tables.table import Cell, Kind, Raw, Table, are_missing, column_of, take, to_json

N_DRAWN = 1000
MISSING_SHARE, UNSEEN_SHARE = 0.1, 0.1
MOST_WORDS = 12
UNSEEN = "never seen in training"
SEED = 0


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows as texts and as raw values, and the server's answers to them."""

    predictor: Predictor
    texts: dict[str, list[str | None]]
    raw: Raw
    answers: Array
    """float64 (n_rows, n_answers): numbers in raw units, or probabilities."""

    @classmethod
    def of(cls, bundle: Bundle, n_drawn: int = N_DRAWN, rounded: Callable[[Raw], Raw] = lambda raw: raw) -> Self:
        """Draw rows, the same for the same version; those that the server cannot answer are left out.

        The answers are those to the rows as the target takes them, `rounded`.
        """
        golden = _texts(bundle.golden_inputs, bundle.kinds)
        drawn = _drawn(bundle, n_drawn)
        texts = {name: golden[name] + drawn[name] for name in bundle.inputs}
        raw = rounded(_raw(bundle, texts))
        answers = bundle.predictor.answers(raw)
        kept = np.isfinite(answers).all(axis=1) & ~_are_refused(bundle, raw)
        answered = {
            name: [cell for cell, keep in zip(cells, kept, strict=True) if keep] for name, cells in texts.items()
        }
        return cls(bundle.predictor, answered, take(raw, kept), answers[kept])

    def __len__(self) -> int:
        return len(self.answers)


def _texts(raw: Raw, kinds: dict[str, Kind]) -> dict[str, list[str | None]]:
    columns = zip(*to_json(raw, kinds), strict=True)
    return {name: [_text(cell) for cell in column] for name, column in zip(kinds, columns, strict=True)}


def _text(cell: float | bool | str | None) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell if cell is None or isinstance(cell, str) else repr(float(cell))


def _raw(bundle: Bundle, texts: dict[str, list[str | None]]) -> Raw:
    """Return the cells as a CSV question with these texts has them."""
    encoder = bundle.predictor.encoder
    if not isinstance(encoder, TableEncoder):
        return np.array([[float(cell or 0) for cell in cells] for cells in texts.values()]).T
    columns = {name: [_cell(encoder, name, text) for text in cells] for name, cells in texts.items()}
    return Table({name: column_of(encoder.kinds[name], cells) for name, cells in columns.items()})


def _cell(encoder: TableEncoder, name: str, text: str | None) -> Cell:
    kind, spelling = encoder.kinds[name], encoder.spelling
    if text is None or spelling.is_missing(kind, text):
        return None
    cell = spelling.cell(name, kind, text)
    return None if is_among(cell, kind, spelling.missing_cells(name, kind)) else cell


def _are_refused(bundle: Bundle, raw: Raw) -> NDArray[np.bool_]:
    """True (n_rows,) where a value is missing that may not be: a word that a CSV file cannot hold as such."""
    encoder, refused = bundle.predictor.encoder, np.zeros(len(raw), dtype=bool)
    if isinstance(raw, Table) and isinstance(encoder, TableEncoder):
        for name in encoder.columns:
            refused |= are_missing(raw.columns[name]) & (not encoder.takes_missing(name))
    return refused


# -- drawing -----------------------------------------------------------------------------------------------------------


def _drawn(bundle: Bundle, n_rows: int) -> dict[str, list[str | None]]:
    rng = np.random.default_rng(SEED)
    encoder = bundle.predictor.encoder
    if not isinstance(encoder, TableEncoder):
        ranges = [(float(column.minimum or 0), float(column.maximum or 0)) for column in bundle.card.inputs]
        rows = np.stack([_between(rng, low, high, n_rows) for low, high in ranges], axis=1)
        return _texts(rows, bundle.kinds)
    drawn = {name: _column(rng, column, n_rows) for name, column in encoder.encoders.items()}
    for name, cells in drawn.items():
        if encoder.takes_missing(name):
            for place in np.flatnonzero(rng.random(n_rows) < MISSING_SHARE):
                cells[place] = None
    return drawn


def _column(rng: np.random.Generator, encoder: ColumnEncoder, n_rows: int) -> list[str | None]:
    match encoder:
        case NumberEncoder():
            return _seen(rng, encoder, "number", n_rows)
        case DateEncoder():
            return _seen(rng, encoder.days, "date", n_rows)
        case TimeEncoder() | DurationEncoder():
            return _seen(rng, encoder.seconds, encoder.kind, n_rows)
        case CategoryEncoder():
            unseen = rng.random(n_rows) < UNSEEN_SHARE
            values = (*(encoder.means or encoder.values), UNSEEN)
            places = np.where(unseen, len(values) - 1, rng.integers(len(values), size=n_rows))
            return [values[place] for place in places]
        case TextEncoder():
            return [*_sentences(rng, encoder.words, n_rows)]
    return [("false", "true")[place] for place in rng.integers(2, size=n_rows)]


def _seen(rng: np.random.Generator, numbers: NumberEncoder, kind: Kind, n_rows: int) -> list[str | None]:
    """Return numbers in the range of the training rows, its ends and the edges of the pieces among them."""
    drawn = _between(rng, numbers.lowest, numbers.highest, n_rows)
    ends = np.array([numbers.lowest, numbers.highest, *numbers.edges])[:n_rows]
    drawn[: len(ends)] = rng.permutation(ends)
    return _texts(Table({"": drawn}), {"": kind})[""]


def _between(rng: np.random.Generator, low: float, high: float, n_rows: int) -> Array:
    share = rng.random(n_rows)
    return low * (1 - share) + high * share  # the width of a range may be too large for a float64


def _sentences(rng: np.random.Generator, words: tuple[str, ...], n_rows: int) -> Iterator[str]:
    known = (*words, UNSEEN)
    for length in rng.integers(2, MOST_WORDS, size=n_rows):
        yield " ".join(known[place] for place in rng.integers(len(known), size=length))
