"""Baselines: models that need no network, learned from the same training rows and scored on the same test rows.

Rows count by their weights, in learning as in scoring.

mean or majority · linear model · gradient-boosted trees  ->  RMSE or accuracy of each  ->  a verdict
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from models_store.arrays import Array
from models_store.card import AnyScore, Baselines, Difference, LabelScore
from models_store.comparison.paired import Paired
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.tables.table import Table
from training.data.dataset import Dataset, Rows
from training.data.subsample import Indices, subsample
from training.evaluation import linear, trees
from training.evaluation.scores import accuracy, root_mean_square
from training.evaluation.verdict import Contest, Line, Metric

# More training rows hardly change such a model, and more test rows hardly change its score.
MOST_ROWS = 100_000
# Probabilities of all test rows in memory, and the test rows that there are for very many labels.
MOST_ANSWERS, FEWEST_ROWS = 1 << 24, 2_000
LINEAR_MODEL: Line = "linear model"
STRAIGHT_LINE: Line = "straight line"


@dataclass(frozen=True, eq=False)
class Beside:
    """Answers of models without a network to test rows: raw numbers, or probabilities, float64 (n_rows, n_answers)."""

    places: Indices
    """The test rows that they were asked, in ascending order."""
    rows: Rows
    answers: Mapping[str, Array]
    """By linear and trees, as far as they learned something, and answer with finite numbers."""
    line: Line


def beside(data: Dataset, encoder: Encoder, seed: int) -> Beside:
    """Return the answers of models that learned from the training rows to the test rows; the same `seed`, the same."""
    n_labels = len(data.labels.names) if data.labels else 1
    places = subsample(len(data.test), max(FEWEST_ROWS, min(MOST_ROWS, MOST_ANSWERS // n_labels)), seed)
    test = data.test.take(places)
    # One thread, because a server may be at work on the other cores. Warnings of a baseline, such as one about
    # convergence, say nothing of the network.
    with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1):
        warnings.simplefilter("ignore")
        if isinstance(encoder, TableEncoder):
            found, line = _of_table(data, encoder, test, seed), LINEAR_MODEL
        else:
            found, line = {"linear": _straight_line(data, test)}, STRAIGHT_LINE
    finite = {name: answers for name, answers in found.items() if np.isfinite(answers).all()}
    return Beside(places, test, finite, line)


def baselines(
    data: Dataset,
    others: Beside,
    network: AnyScore,
    differences: Mapping[str, Difference] | None = None,
    *,
    is_lost_outside: bool = False,
    spread: float | None = None,
) -> Baselines:
    """Return the test score of each baseline beside the network's, and a verdict.

    Figures are RMSE in raw units, or accuracies from 0 to 1. `network` is its score on the test rows, and `differences`
    are those of `differences_to`.
    `is_lost_outside`: most test rows lie outside the region of the training rows, and it is clearly worse there.
    `spread`: how far the network's members differ on a test row, as `Baselines` has it.
    """
    figures = {"mean": _mean(data)} if data.labels is None else {"majority": _majority(data)}
    figures |= {name: _figure(answers, others.rows, data) for name, answers in others.answers.items()}
    figures = {name: figure for name, figure in figures.items() if np.isfinite(figure)}
    figures["network"] = network.accuracy if isinstance(network, LabelScore) else network.rmse
    metric: Metric = "accuracy" if data.labels else "rmse"
    size = float(np.abs(data.test.targets).max()) or 1.0
    paired = dict(differences or {})
    contest = Contest(metric, figures, len(data.test), size, others.line, is_lost_outside, paired, spread)
    return Baselines(metric=metric, figures=figures, verdict=contest.verdict(), differences=paired, spread=spread)


def differences_to(others: Beside, answers: Array, data: Dataset, seed: int) -> dict[str, Difference]:
    """Compare the network, by its `answers` to all test rows, with each baseline on the rows that both answered."""
    metric: Metric = "accuracy" if data.labels else "rmse"
    rows = others.rows
    ours = answers[others.places]
    return {
        name: Paired.of(
            metric, ours, theirs, rows.targets, weights=rows.weights, groups=rows.groups, seed=seed
        ).difference
        for name, theirs in others.answers.items()
    }


def _mean(data: Dataset) -> float:
    mean = np.average(data.train.targets, axis=0, weights=data.train.weights)
    return root_mean_square(mean - data.test.targets, data.test.weights)


def _majority(data: Dataset) -> float:
    most_frequent = np.bincount(data.train.targets[:, 0].astype(int), data.train.weights).argmax()
    return accuracy(np.full(len(data.test), most_frequent), data.test.targets[:, 0], data.test.weights)


def _straight_line(data: Dataset, test: Rows) -> Array:
    """Return the answers of ordinary least squares on the raw columns of numbers."""
    train, asked = np.asarray(data.train.inputs), np.asarray(test.inputs)
    scaler = Scaler.standard(train)
    design = np.column_stack([np.ones(len(train)), scaler.transform(train)])
    weights, *_ = np.linalg.lstsq(design, data.train.targets, rcond=None)
    return np.asarray(np.column_stack([np.ones(len(asked)), scaler.transform(asked)]) @ weights)


def _of_table(data: Dataset, encoder: TableEncoder, test: Rows, seed: int) -> dict[str, Array]:
    train = data.train.take(subsample(len(data.train), MOST_ROWS, seed))
    n_labels = len(data.labels.names) if data.labels else 0
    if n_labels and len(np.unique(train.targets)) == 1:
        return {}
    assert isinstance(test.inputs, Table)
    models = {"linear": linear.answers} | ({"trees": trees.answers} if n_labels <= trees.MOST_LABELS else {})
    return {name: answers(encoder, train, test.inputs, n_labels, seed) for name, answers in models.items()}


def _figure(answers: Array, test: Rows, data: Dataset) -> float:
    """Return accuracy or RMSE of `answers`, float64 (n_rows, n_answers): probabilities, or raw numbers."""
    if data.labels:
        return accuracy(answers.argmax(axis=1), test.targets[:, 0], test.weights)
    return root_mean_square(answers - test.targets, test.weights)
