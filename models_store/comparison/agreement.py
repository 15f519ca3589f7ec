"""How far the answers of two versions to the same questions are apart, where nobody knows the right ones.

numbers   of each output: |d|, d and d², with d = the other's answer less the first's, in raw units
labels    whether the most probable one is the same, and how far apart the probabilities are

They are added up over rows, so that sums of several processes can be added too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.bundle import Bundle, Description
from models_store.errors import NotComparable
from models_store.tables.table import Kind, Raw, Table
from models_store.wording import shortened, shortened_name

ROWS, N_BEFORE = 0, 1
# Of each output of numbers.
SIZE, SIGNED, SQUARE, OF_NUMBERS = 0, 1, 2, 3
SAME, APART, OF_LABELS = 0, 1, 2
WAY_OUT = "move the label to a version with the same inputs and outputs"


@dataclass(frozen=True)
class Signature:
    """What a version is asked, and what it answers."""

    is_table: bool
    kinds: Mapping[str, Kind]
    """Of the columns that it is asked."""
    outputs: tuple[str, ...]
    are_labels: bool

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        is_table = isinstance(bundle.golden_inputs, Table)
        return cls(is_table, bundle.kinds, bundle.outputs, bundle.labels is not None)

    @classmethod
    def described(cls, version: Description) -> Self:
        """Return what the card of a version says, whose network need not be loaded."""
        card, data = version.card, version.recipe.get("data", {})
        kinds = {column.name: column.kind for column in card.inputs}
        outputs = tuple(output.name for output in card.outputs)
        return cls(data.get("kind") == "table", kinds, outputs, card.task == "classification")


def check_comparable(first: Signature, other: Signature) -> None:
    """Raise NotComparable where the other cannot answer the first one's questions, or answers something else."""
    _check_inputs(first, other)
    _check_outputs(first, other)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What two versions say to the same questions, in terms of the first one's inputs and outputs."""

    inputs: tuple[str, ...]
    """Those of the other version, in its order."""
    places: list[int]
    """Where they are among the first one's."""
    outputs: tuple[str, ...]
    """Those of the first version."""
    answers_at: NDArray[np.int64]
    """For each answer of the first version, its place among the other's; -1: the other does not know that label."""
    label_of: NDArray[np.int64]
    """For each label of the other version, its place among the first one's, or -1; empty for numbers."""

    @classmethod
    def between(cls, first: Bundle, other: Bundle) -> Self:
        """Raises NotComparable where the other cannot answer the first one's questions, or answers something else."""
        check_comparable(Signature.of(first), Signature.of(other))
        ours, theirs = (first.outputs, other.outputs) if first.labels is None else (first.labels, other.labels or ())
        return cls(
            other.inputs,
            [first.inputs.index(name) for name in other.inputs],
            first.outputs,
            np.array([theirs.index(name) if name in theirs else -1 for name in ours]),
            np.array([ours.index(name) if name in ours else -1 for name in theirs if first.labels is not None], int),
        )

    @property
    def are_labels(self) -> bool:
        return len(self.label_of) > 0

    @property
    def n_sums(self) -> int:
        return N_BEFORE + (OF_LABELS if self.are_labels else OF_NUMBERS * len(self.outputs))

    def rows(self, raw: Raw) -> Raw:
        """Return raw rows of the first version's columns as the other takes them."""
        if isinstance(raw, Table):
            return Table({name: raw.columns[name] for name in self.inputs})
        return raw if self.places == list(range(raw.shape[1])) else raw[:, self.places]

    def sums(self, answers: Array, others: Array) -> Array:
        """Return the sums over rows, float64 (n_sums,), of answers of both, float64 (n_rows, n_answers) each.

        Rows without finite answers, or so far apart that no float64 holds the square, are left out.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            terms = self._of_labels(answers, others) if self.are_labels else self._of_numbers(answers, others)
        finite = terms[np.isfinite(terms).all(axis=1)]
        return np.concatenate([[len(finite)], finite.sum(axis=0)])

    def _of_numbers(self, answers: Array, others: Array) -> Array:
        """Return the terms of each row, float64 (n_rows, 3 · n_outputs), output by output."""
        apart = others[:, self.answers_at] - answers
        terms = np.stack([np.abs(apart), apart, apart**2], axis=2)
        return terms.reshape(len(terms), -1)

    def _of_labels(self, answers: Array, others: Array) -> Array:
        """Return the terms of each row, float64 (n_rows, 2): 1 if the label is the same, and the distance.

        The distance is the total variation, half of the sum of absolute differences, between 0 and 1.
        """
        known = self.answers_at >= 0
        theirs = np.zeros_like(answers)
        theirs[:, known] = others[:, self.answers_at[known]]
        unknown_here = others.sum(axis=1) - theirs.sum(axis=1)
        is_same = self.label_of[others.argmax(axis=1)] == answers.argmax(axis=1)
        return np.stack([is_same, (np.abs(answers - theirs).sum(axis=1) + unknown_here) / 2], axis=1)

    def to_json(self, sums: Array) -> dict[str, dict[str, float]]:
        """Return what the sums come to, by output; {} of no rows."""
        rows = float(sums[ROWS])
        if not rows:
            return {}
        means = sums[N_BEFORE:] / rows
        if self.are_labels:
            return {self.outputs[0]: {"agreement": float(means[SAME]), "distance": float(means[APART])}}
        return {
            name: {"rmse": float(square**0.5), "mae": float(size), "bias": float(signed)}
            for name, (size, signed, square) in zip(self.outputs, means.reshape(-1, OF_NUMBERS), strict=True)
        }


def _check_inputs(first: Signature, other: Signature) -> None:
    if first.is_table != other.is_table:
        raise NotComparable("one of both has learned from a table, and the other from a formula", WAY_OUT)
    lacking = [name for name, kind in other.kinds.items() if first.kinds.get(name) != kind]
    if lacking:
        named = shortened(map(shortened_name, lacking), 5)
        raise NotComparable(
            f"the shadow asks for {len(lacking)} column(s) that the champion does not ask for, or has as another kind: "
            f"{named}",
            WAY_OUT,
        )


def _check_outputs(first: Signature, other: Signature) -> None:
    if first.are_labels == other.are_labels and {*first.outputs} == {*other.outputs}:
        return
    named = [shortened(map(shortened_name, each.outputs), 5) for each in (first, other)]
    kinds = ["labels" if each.are_labels else "numbers" for each in (first, other)]
    raise NotComparable(
        f"the champion answers {kinds[0]} ({named[0]}), and the shadow {kinds[1]} ({named[1]})", WAY_OUT
    )
