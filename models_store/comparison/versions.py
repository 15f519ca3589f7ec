"""Two versions of a pattern, or of two, and the models that learned beside them, on rows that all of them answered.

answers of each to the same rows -> figures, paired differences, members' spread -> a verdict in words
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Self

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Description
from models_store.card import FEWEST_DRAWN, Card, Difference, Frozen, PairedMetric
from models_store.comparison.paired import Paired
from models_store.errors import NotComparable
from models_store.wording import counted, shortened, shortened_name

BASELINES = {"linear": "a linear model", "trees": "gradient-boosted trees"}
WORDS: dict[PairedMetric, str] = {"rmse": "RMSE", "mae": "MAE", "log_loss": "log loss", "accuracy": "accuracy"}
OF_NUMBERS: tuple[PairedMetric, ...] = ("rmse", "mae")
OF_LABELS: tuple[PairedMetric, ...] = ("log_loss", "accuracy")
WAY_OUT = "compare them on rows of your own: patterns compare A B --csv FILE"
BEFORE_REFIT = (
    "Answers are those of the networks that were measured, which have not learned from these rows; what is served was "
    "then fitted again on all rows."
)


class Between(Frozen):
    """How far two of those that were compared differ, by each metric, the one that decides first."""

    first: str
    second: str
    by: dict[PairedMetric, Difference]

    @property
    def decides(self) -> Difference:
        return next(iter(self.by.values()))


class Comparison(Frozen):
    """What the same rows say of two versions, `first` and `second`, and of the models beside them."""

    first: str
    second: str
    rows: int
    rows_of: str
    """The name of a table, or `test rows`."""
    figures: dict[str, dict[PairedMetric, float]]
    """The metrics of each: of both versions, linear and trees."""
    differences: list[Between]
    """Of both versions, the first one here, and of each with the models beside them."""
    spread: dict[str, float]
    """How far the members of each network differ on a row, in raw units or as probabilities; root mean square."""
    verdict: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Answered:
    """Rows with the answers of each contestant, by name: raw numbers, or probabilities, float64 (n_rows, n_answers)."""

    targets: Array
    answers: Mapping[str, Array]
    """The two versions first."""
    are_labels: bool
    rows_of: str
    weights: Array | None = None
    groups: Array | None = None
    spread: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def in_test(cls, described: Mapping[str, Description]) -> Self:
        """Return the test rows that two versions keep their answers to. Raises NotComparable where they are others."""
        (first, one), (second, other) = described.items()
        check_alike(described)
        if not _are_same_rows(one, other):
            raise NotComparable(f"{first} and {second} were tested on other rows", WAY_OUT)
        kept = one.evaluation
        beside = {name: found for each in (one, other) for name, found in each.evaluation.baselines.items()}
        answers = {name: each.evaluation.predicted for name, each in described.items()} | beside
        spreads = {name: each.evaluation.spread for name, each in described.items() if each.evaluation.spread}
        are_refitted = any(each.card.fitted.refit is not None for each in (one, other))
        is_part = one.card.test.rows > len(kept.labels)
        return cls(
            np.array(kept.labels),
            {name: np.array(found) for name, found in answers.items()},
            one.card.task == "classification",
            f"of {one.card.test.rows:,} test rows" if is_part else "test rows",
            np.array(kept.weights) if kept.weights else None,
            np.array(kept.groups) if kept.groups else None,
            {name: float(np.sqrt(np.mean(np.square(spread)))) for name, spread in spreads.items()},
            BEFORE_REFIT if are_refitted else "",
        )


def check_alike(described: Mapping[str, Description]) -> None:
    """Raise NotComparable unless two versions answer the same columns, and the same labels."""
    (first, one), (second, other) = ((name, each.card) for name, each in described.items())
    if _target(one) != _target(other):
        named = [shortened([shortened_name(output.name) for output in card.outputs], 5) for card in (one, other)]
        apart = f"{first} answers {named[0]}, and {second} answers {named[1]}"
        words = apart if named[0] != named[1] else f"{first} and {second} do not know the same labels of {named[0]}"
        raise NotComparable(words, "compare versions with the same target")


def _target(card: Card) -> list[object]:
    labels = [output.values for output in card.outputs] if card.task == "classification" else []
    return [card.task, *(output.name for output in card.outputs), *labels]


def _are_same_rows(one: Description, other: Description) -> bool:
    """True if both were tested on the same rows in the same order, as far as targets and the first inputs tell."""
    if one.card.test.rows != other.card.test.rows or one.evaluation.labels != other.evaluation.labels:
        return False
    ours, theirs = ([column.name for column in each.card.inputs] for each in (one, other))
    shared = [(ours.index(name), theirs.index(name)) for name in ours if name in theirs]
    pairs = zip(one.card.gaps, other.card.gaps, strict=False)
    return bool(shared) and all(a.inputs[i] == b.inputs[j] for a, b in pairs for i, j in shared)


def compare(answered: Answered, seed: int = 0) -> Comparison:
    """Compare both versions with each other and with the models beside them. `seed` draws the resamples."""
    first, second, *_ = answered.answers
    versions = {first, second}
    differences = [
        Between(
            first=one,
            second=other,
            by={metric: pair.difference for metric, pair in paired(answered, one, other, seed).items()},
        )
        for one, other in combinations(answered.answers, 2)
        if one in versions
    ]
    figures: dict[str, dict[PairedMetric, float]] = {}
    for between in differences:
        figures[between.first] = {metric: found.first for metric, found in between.by.items()}
        figures.setdefault(between.second, {metric: found.second for metric, found in between.by.items()})
    return Comparison(
        first=first,
        second=second,
        rows=len(answered.targets),
        rows_of=answered.rows_of,
        figures={name: figures[name] for name in answered.answers},
        differences=differences,
        spread=dict(answered.spread),
        verdict=_verdict(differences, answered.rows_of),
        note=answered.note,
    )


def paired(answered: Answered, one: str, other: str, seed: int = 0) -> dict[PairedMetric, Paired]:
    """Pair the answers of two contestants by each metric, that which decides first. `seed` draws the resamples."""
    known = answered.answers[one], answered.answers[other], answered.targets
    groups = None if answered.groups is None else answered.groups.astype(np.int64)
    metrics = OF_LABELS if answered.are_labels else OF_NUMBERS
    return {metric: Paired.of(metric, *known, weights=answered.weights, groups=groups, seed=seed) for metric in metrics}


# -- words ---------------------------------------------------------------------------------------------------------


def _verdict(differences: list[Between], rows_of: str) -> str:
    both, *beside = differences
    said = [_of_both(both, rows_of)]
    for name, called in BASELINES.items():
        ahead = [between.first for between in beside if between.second == name and between.decides.better == "second"]
        if len(ahead) == 2:
            said.append(f"{called[0].upper()}{called[1:]} {'do' if name == 'trees' else 'does'} better than both.")
    return " ".join(said)


def _of_both(both: Between, rows_of: str) -> str:
    found = both.decides
    metric, rows = WORDS[found.metric], counted_rows(found.rows, rows_of)
    if found.difference == found.error == 0:
        return f"{both.first} and {both.second} answer {rows} equally well: {metric} {figure(found.first)}."
    apart = f"the difference is {figure(abs(found.difference))} ± {figure(found.error)}"
    bounds = sorted(abs(bound) for bound in (found.low, found.high))
    if found.better is None:
        chance = _too_few(found.rows) if found.drawn < FEWEST_DRAWN else "do not tell"
        figures = f"{metric} {figure(found.first)} and {figure(found.second)}"
        return f"{rows} {chance} {both.first} and {both.second} apart: {figures}; {apart}, which may be chance."
    sides = [(both.first, figure(found.first)), (both.second, figure(found.second))]
    (best, least), (other, most) = sides if found.better == "first" else reversed(sides)
    words = f"{best} is better than {other}: {metric} {least} against {most}"
    return f"{words} on {rows}; {apart} (95 %: {figure(bounds[0])} to {figure(bounds[1])})."


def _too_few(n_rows: int) -> str:
    return "is too little to tell" if n_rows == 1 else "are too few to tell"


def counted_rows(n_rows: int, rows_of: str) -> str:
    """Return how many rows there are, where `rows_of` says whose in the plural: "1 row of new.csv"."""
    return counted(n_rows, rows_of.replace("rows", "row", 1), rows_of)


def figure(value: float) -> str:
    """Return a number with four significant digits, and no exponent from 0.001 to a million."""
    if value == 0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.4g}"
    return f"{float(f'{value:.4g}'):,.15g}"
