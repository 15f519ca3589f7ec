"""Scores of answers on one set of rows: errors of numbers in raw units, or accuracy and more of labels."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from models_store.arrays import Array
from models_store.card import AnyScore, LabelScore, Measured, Score, SearchMetric
from models_store.encoding.scaler import NEGLIGIBLE
from training.data.dataset import Dataset, Rows

# A confusion matrix of more labels would be larger than the network, and nobody would read it.
MOST_CONFUSED = 100
LARGEST = float(np.finfo(np.float64).max)


def measured(answers: Array, rows: Rows, data: Dataset) -> Measured:
    """Score `answers`, float64 (n_rows, n_outputs) in raw units, or probabilities (n_rows, n_labels).

    Rows count by their weights.
    """
    if data.labels is not None:
        found = label_score(answers, rows.targets[:, 0].astype(int), rows.weights)
        return Measured(rows=len(rows), overall=found, outputs={data.outputs[0]: found})
    by_output: dict[str, AnyScore] = {
        name: score(answers[:, [place]], rows.targets[:, [place]], rows.weights)
        for place, name in enumerate(data.outputs)
    }
    return Measured(rows=len(rows), overall=score(answers, rows.targets, rows.weights), outputs=by_output)


def one_score(metric: SearchMetric, answers: Array, rows: Rows, data: Dataset) -> float | None:
    """Return one of the figures that `measured` finds, and compute no other that takes long; None if there is none."""
    match metric:
        case "accuracy":
            return accuracy(answers.argmax(axis=1), rows.targets[:, 0].astype(int), rows.weights)
        case "log_loss":
            return log_loss(answers, rows.targets[:, 0].astype(int), rows.weights)
        case "r2":
            return r_squared(answers, rows.targets, rows.weights)
    found: float | None = getattr(measured(answers, rows, data).overall, metric)
    return found


def score(predicted: Array, targets: Array, weights: Array | None = None) -> Score:
    """Score numbers, both float64 (n_rows, n_outputs): RMSE, MAE, median and largest error over all outputs.

    R² is the mean of each output's own, as scikit-learn's `r2_score` has it. `weights` (n_rows,); None: all alike.
    """
    gaps = np.abs(predicted - targets)
    each = None if weights is None else np.broadcast_to(weights[:, None], gaps.shape)
    return Score(
        rmse=root_mean_square(gaps, weights),
        mae=float(np.average(gaps, weights=each)),
        median_error=_median(gaps, each),
        r2=r_squared(predicted, targets, weights),
        max_error=float(gaps.max()),
    )


def _median(gaps: Array, weights: Array | None) -> float:
    if weights is None:
        return float(np.median(gaps))
    return float(np.quantile(gaps, 0.5, weights=weights, method="inverted_cdf"))


def r_squared(predicted: Array, targets: Array, weights: Array | None = None) -> float | None:
    """Return R² = 1 - SSE/SST, averaged over outputs; None if the targets of an output are constant.

    An R² below all float64 is the lowest of them.
    """
    size = np.abs(targets).max(axis=0)
    unit = _unit(size)
    mean = np.average(targets, axis=0, weights=weights)
    each = 1.0 if weights is None else (weights / weights.mean())[:, None]
    total = (each * ((targets - mean) / unit) ** 2).sum(axis=0)
    rounding = len(targets) * (NEGLIGIBLE * size / unit) ** 2
    if (total <= rounding).any():
        return None
    gaps = np.abs(predicted - targets)
    unit_of_gaps = _unit(gaps.max(axis=0))
    unexplained = (each * (gaps / unit_of_gaps) ** 2).sum(axis=0) / total
    with np.errstate(over="ignore"):
        unexplained *= np.minimum((unit_of_gaps / unit) ** 2, LARGEST)
        return max(float((1 - np.minimum(unexplained, LARGEST)).mean()), -LARGEST)


def root_mean_square(gaps: Array, weights: Array | None = None) -> float:
    """Return the root of the mean square of all numbers (n_rows, n_outputs), also where a square would overflow."""
    unit = _unit(np.abs(gaps).max())
    squares = (gaps / unit) ** 2
    mean = squares.mean() if weights is None else np.average(squares.mean(axis=1), weights=weights)
    return float(np.sqrt(mean) * unit)


def _unit(size: Any) -> Any:
    """Return a power of two near `size`. Divided by it, squares neither overflow nor vanish, and no digit is lost."""
    return np.where(size > 0, np.ldexp(1.0, np.frexp(size)[1] - 1), 1.0)


def label_score(probabilities: Array, numbers: NDArray[Any], weights: Array | None = None) -> LabelScore:
    """Score labels: `probabilities` float64 (n_rows, n_labels), `numbers` (n_rows,) of the right labels.

    Precision, recall and F1 that are 0/0 count as 0. The ROC AUC of more than two labels is the mean of each against
    the rest; it is None where a label does not occur. The confusion counts rows, whatever their weights.
    """
    n_labels = probabilities.shape[1]
    known, said = np.arange(n_labels), probabilities.argmax(axis=1)
    precision, recall, f1, occurs = precision_recall_fscore_support(
        numbers, said, labels=known, zero_division=0.0, sample_weight=weights
    )
    # As in scikit-learn, averages are over the labels that occur: of the others nothing is known.
    is_met = (occurs > 0) | np.isin(known, said)
    is_readable = n_labels <= MOST_CONFUSED
    return LabelScore(
        accuracy=accuracy(said, numbers, weights),
        log_loss=log_loss(probabilities, numbers, weights),
        balanced_accuracy=float(recall[occurs > 0].mean()),
        f1=float(f1[1] if n_labels == 2 else f1[is_met].mean()),
        roc_auc=_roc_auc(probabilities, numbers, weights) if is_readable and (occurs > 0).all() else None,
        confusion=confusion_matrix(numbers, said, labels=known).tolist() if is_readable else [],
        precision=precision.tolist(),
        recall=recall.tolist(),
    )


def accuracy(said: NDArray[Any], numbers: NDArray[Any], weights: Array | None = None) -> float:
    """Return the share of rows whose label is right; all (n_rows,)."""
    return float(np.average(said == numbers, weights=weights))


def log_loss(probabilities: Array, numbers: NDArray[Any], weights: Array | None = None) -> float:
    """Return the mean of -ln p of the right label; p is clipped to [eps, 1 - eps] of float64, as in scikit-learn."""
    right = probabilities[np.arange(len(numbers)), numbers]
    rounding = float(np.finfo(np.float64).eps)
    return float(np.average(-np.log(np.clip(right, rounding, 1 - rounding)), weights=weights))


def _roc_auc(probabilities: Array, numbers: NDArray[Any], weights: Array | None) -> float:
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(numbers, probabilities[:, 1], sample_weight=weights))
    each = [
        roc_auc_score(numbers == label, probabilities[:, label], sample_weight=weights)
        for label in range(probabilities.shape[1])
    ]
    return float(np.mean(each))


def author_metrics(overall: AnyScore, n_errors: int) -> dict[str, float]:
    """Return the error as authors of patterns have counted it.

    One of them divides the root of the *sum* of squares by n, which is RMSE / sqrt(n); `n_errors` is that n.
    """
    if isinstance(overall, LabelScore):
        return {"accuracy": overall.accuracy, "log_loss": overall.log_loss}
    return {"rmse": overall.rmse, "mae": overall.mae, "rmse_over_root_n": overall.rmse / math.sqrt(n_errors)}
