"""Baselines: models that need no network, learned from the same training rows and scored on the same test rows.

Rows count by their weights, in learning as in scoring.

mean or majority · linear model · gradient-boosted trees  ->  RMSE or accuracy of each  ->  a verdict
"""

import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from models_store.arrays import Array
from models_store.card import AnyScore, Baselines, LabelScore
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.tables.table import Table
from training.data.dataset import Dataset, Rows
from training.data.subsample import subsample
from training.evaluation import linear, trees
from training.evaluation.scores import accuracy, root_mean_square
from training.evaluation.verdict import Contest, Line, Metric

# More training rows hardly change such a model, and more test rows hardly change its score.
MOST_ROWS = 100_000


def baselines(
    data: Dataset, encoder: Encoder, network: AnyScore, seed: int, *, is_lost_outside: bool = False
) -> Baselines:
    """Return the test score of each baseline beside the network's, and a verdict.

    Figures are RMSE in raw units, or accuracies from 0 to 1; the same `seed` gives the same. `network` is its score on
    the test rows.
    `is_lost_outside`: most of these lie outside the region of the training rows, and it is clearly worse there.
    """
    figures = {"mean": _mean(data)} if data.labels is None else {"majority": _majority(data)}
    # One thread, because a server may be at work on the other cores. Warnings of a baseline, such as one about
    # convergence, say nothing of the network.
    with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1):
        warnings.simplefilter("ignore")
        figures |= _of_table(data, encoder, seed) if isinstance(encoder, TableEncoder) else _straight_line(data)
    figures = {name: figure for name, figure in figures.items() if np.isfinite(figure)}
    figures["network"] = network.accuracy if isinstance(network, LabelScore) else network.rmse
    metric: Metric = "accuracy" if data.labels else "rmse"
    line: Line = "linear model" if isinstance(encoder, TableEncoder) else "straight line"
    size = float(np.abs(data.test.targets).max()) or 1.0
    contest = Contest(metric, figures, len(data.test), size, line, is_lost_outside)
    return Baselines(metric=metric, figures=figures, verdict=contest.verdict())


def _mean(data: Dataset) -> float:
    mean = np.average(data.train.targets, axis=0, weights=data.train.weights)
    return root_mean_square(mean - data.test.targets, data.test.weights)


def _majority(data: Dataset) -> float:
    most_frequent = np.bincount(data.train.targets[:, 0].astype(int), data.train.weights).argmax()
    return accuracy(np.full(len(data.test), most_frequent), data.test.targets[:, 0], data.test.weights)


def _straight_line(data: Dataset) -> dict[str, float]:
    """Return the RMSE of ordinary least squares on the raw columns of numbers."""
    train, test = np.asarray(data.train.inputs), np.asarray(data.test.inputs)
    scaler = Scaler.standard(train)
    design = np.column_stack([np.ones(len(train)), scaler.transform(train)])
    weights, *_ = np.linalg.lstsq(design, data.train.targets, rcond=None)
    answers = np.column_stack([np.ones(len(test)), scaler.transform(test)]) @ weights
    return {"linear": root_mean_square(answers - data.test.targets)}


def _of_table(data: Dataset, encoder: TableEncoder, seed: int) -> dict[str, float]:
    train, test = (rows.take(subsample(len(rows), MOST_ROWS, seed)) for rows in (data.train, data.test))
    n_labels = len(data.labels.names) if data.labels else 0
    if n_labels and len(np.unique(train.targets)) == 1:
        return {}
    assert isinstance(test.inputs, Table)
    models = {"linear": linear.answers} | ({"trees": trees.answers} if n_labels <= trees.MOST_LABELS else {})
    return {
        name: _figure(answers(encoder, train, test.inputs, n_labels, seed), test, n_labels)
        for name, answers in models.items()
    }


def _figure(answers: Array, test: Rows, n_labels: int) -> float:
    """Return accuracy or RMSE of `answers`, float64 (n_rows, n_outputs): numbers of labels, or raw numbers."""
    if n_labels:
        return accuracy(answers[:, 0], test.targets[:, 0], test.weights)
    return root_mean_square(answers - test.targets, test.weights)
