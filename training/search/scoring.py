"""The score of one trial: its recipe fitted, and measured on rows that it has not learned from.

These are the validation rows of the recipe, or folds, or a fifth of the training rows if its network has members. They
are never test rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from models_store.arrays import Array
from models_store.card import NUMBER_METRICS, SearchMetric
from models_store.errors import PatternServerError
from training.cross_validation import with_own_validation
from training.data.dataset import DataError, Dataset, Rows
from training.data.splits import Indices, cut, folds
from training.evaluation.scores import one_score
from training.fitting.learn import Runtime, learn
from training.recipe.fit import CrossValidate
from training.recipe.search import Search
from training.recipe.space import HELD_OUT
from training.recipe.spec import PatternSpec


class NoScore(PatternServerError):
    """The metric has no value on the rows that are held out."""

    code = "no_score"


@dataclass(frozen=True, eq=False)
class Scoring:
    """The rows of all trials of a search, and what is measured on them."""

    data: Dataset
    rows: Rows
    splits: list[tuple[Indices, Indices]] | None
    """Rows to learn from and rows held out, for each fold; None: the recipe's own validation rows are held out."""
    metric: SearchMetric
    search: Search

    @classmethod
    def of(cls, spec: PatternSpec, search: Search, data: Dataset) -> Self:
        """Raises DataError where the metric does not fit the target, or there are too few rows."""
        metric = metric_of(search, data)
        seed, are_labels = spec.seed % 2**32, data.labels is not None
        if search.folds is not None:
            rows = data.fitted
            splits = list(folds(rows, CrossValidate(folds=search.folds), seed, are_labels=are_labels))
            return cls(data, rows, splits, metric, search)
        if data.validation is not None:
            return cls(data, data.train, None, metric, search)
        share = spec.split.model_copy(update={"validation": HELD_OUT})
        one = cut(data.train, np.arange(len(data.train)), share, "validation", seed, are_labels=are_labels)
        return cls(data, data.train, [one], metric, search)

    @property
    def are_folds(self) -> bool:
        return self.search.folds is not None

    @property
    def fits(self) -> int:
        """The number of fits of a trial."""
        return len(self.splits) if self.splits is not None else 1

    def score(self, spec: PatternSpec, runtime: Runtime, report: Callable[[int, float], None]) -> float:
        """Fit a trial's recipe and return its metric, the mean over folds.

        `report` is told the mean of the folds so far. Raises what `learn` raises, NotFinite, NoScore, and what
        `report` raises.
        """
        scores: list[float] = []
        for number in range(self.fits):
            part, held_out = self.part(spec, number)
            predictor = learn(self.of_fold(spec, number), part, runtime).predictor
            scores.append(self.value(predictor.predict(held_out.inputs), held_out))
            if self.are_folds:
                report(number + 1, float(np.mean(scores)))
        return float(np.mean(scores))

    def value(self, answers: Array, held_out: Rows) -> float:
        """Return the metric of answers to the rows that are held out. Raises NoScore."""
        value = one_score(self.metric, answers, held_out, self.data)
        if value is None:
            raise NoScore(f"the rows that are held out have no {self.metric}: they are too few, or all alike")
        return value

    def of_fold(self, spec: PatternSpec, number: int) -> PatternSpec:
        """Return the recipe of a fold, which begins with weights of its own.

        Trials are compared as they have learned, before probabilities get a temperature, and what `auto` means for the
        targets is left to the training of the best one, because it takes a second fit.
        """
        changes: dict[str, object] = {"seed": (spec.seed + number) % 2**32} if number else {}
        if spec.fit.calibration != "none":
            changes["fit"] = {"calibration": "none"}
        if spec.scaling.targets == "auto":
            changes["scaling"] = {"targets": "none"}
        return spec.overridden(changes) if changes else spec

    def part(self, spec: PatternSpec, number: int) -> tuple[Dataset, Rows]:
        """Return the rows that a fit learns from and may watch, and those that it is scored on."""
        if self.splits is None:
            assert self.data.validation is not None
            return self.data, self.data.validation
        rest, taken = self.splits[number]
        held_out = self.rows.take(taken)
        if self.are_folds:
            return with_own_validation(spec, self.data, self.rows, rest), held_out
        # Members watch rows that they leave out; otherwise the rows held out show how the trial goes.
        watched = held_out if spec.network.members == 1 else None
        return replace(self.data, train=self.rows.take(rest), validation=watched), held_out


def metric_of(search: Search, data: Dataset) -> SearchMetric:
    """Raises DataError where the metric is not one of the target's kind."""
    are_numbers = data.labels is None
    if search.metric == "auto":
        return "rmse" if are_numbers else "log_loss"
    if (search.metric in NUMBER_METRICS) != are_numbers:
        kind, usual = ("numbers", "rmse") if are_numbers else ("labels", "log_loss")
        raise DataError(f"search.metric: {search.metric} does not fit the target, which is {kind}; try {usual}")
    return search.metric
