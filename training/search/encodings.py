"""The fits of trials before they begin: rows are encoded once for all trials that encode them alike."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from models_store.arrays import Encoded
from training.data.dataset import Dataset, Rows
from training.fitting.learn import Encoding, Prepared
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec
from training.search.scoring import Scoring

# Bytes of encoded rows that are kept for later trials.
MOST_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class ScoredFit:
    """A fit, and the rows that it is scored on."""

    fit: Prepared
    held_out: Rows
    asked: Encoded
    """Network inputs of these rows."""


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Rows of a fold, encoded."""

    encoding: Encoding
    asked: Encoded

    @property
    def arrays(self) -> list[Encoded]:
        return [self.encoding.inputs, self.encoding.targets, *(self.encoding.validation or ()), self.asked]

    @property
    def n_bytes(self) -> int:
        return sum(array.nbytes for array in {id(array): array for array in self.arrays}.values())

    def is_same(self, other: "EncodedRows") -> bool:
        """True if all numbers are the same, as those of other seeds are where no seed is needed."""
        pairs = zip(self.arrays, other.arrays, strict=True)
        return all(np.array_equal(ours, theirs, equal_nan=True) for ours, theirs in pairs)


@dataclass(frozen=True, eq=False)
class Part:
    """The rows that a fit learns from and may watch, those that it is scored on, and what was encoded of them."""

    data: Dataset
    held_out: Rows
    known: dict[str, EncodedRows] = field(default_factory=dict)


class Encodings:
    """The rows of a search's trials, cut into folds and encoded; the parts used last are kept."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._parts: OrderedDict[object, Part] = OrderedDict()

    def fit(self, spec: PatternSpec, fold: int) -> ScoredFit:
        """Return a fit of a trial's recipe. Raises what `Prepared.of` raises."""
        part = self._part(spec, fold)
        encoded = partial(_encoded, part)
        fit = Prepared.of(self._scoring.of_fold(spec, fold), part.data, lambda used, _: encoded(used).encoding)
        self._forget()
        return ScoredFit(fit, part.held_out, encoded(fit.spec).asked)

    def _part(self, spec: PatternSpec, fold: int) -> Part:
        watches = spec.fit.early_stopping is not None and spec.split.validation > 0
        key = (fold, spec.network.members == 1, (spec.split.validation, spec.seed) if watches else None)
        part = self._parts.pop(key, None) or Part(*self._scoring.part(spec, fold))
        self._parts[key] = part
        return part

    def _forget(self) -> None:
        n_bytes = sum(rows.n_bytes for part in self._parts.values() for rows in part.known.values())
        while n_bytes > MOST_BYTES and len(self._parts) > 1:
            part = self._parts.popitem(last=False)[1]
            n_bytes -= sum(rows.n_bytes for rows in part.known.values())


def _encoded(part: Part, spec: PatternSpec) -> EncodedRows:
    written = _written(spec)
    if written not in part.known:
        new = Encoding.of(spec, part.data)
        if new.validation is not None and part.data.validation is part.held_out:
            asked = new.validation[0]
        else:
            asked = new.encoder.encode(part.held_out.inputs)
        rows = EncodedRows(new, asked)
        part.known[written] = next((known for known in part.known.values() if known.is_same(rows)), rows)
    return part.known[written]


def _written(spec: PatternSpec) -> str:
    """Return all of a recipe that decides how rows are encoded."""
    seed = spec.seed if isinstance(spec.data, TableData) else 0
    of_network = (spec.network.polynomial_degree, spec.network.dtype)
    return f"{spec.model_dump_json(include={'data', 'scaling', 'missing'})} {of_network} {spec.fit.loss} {seed}"
