"""Scores of answers on one set of rows: errors of numbers in raw units, or accuracy and more of labels."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from models_store.arrays import Array
from models_store.card import AnyScore, LabelScore, Measured, Score
from models_store.encoding.scaler import NEGLIGIBLE
from training.data.dataset import Dataset, Rows

# A confusion matrix of more labels would be larger than the network, and nobody would read it.
MOST_CONFUSED = 100


def measured(answers: Array, rows: Rows, data: Dataset) -> Measured:
    """Score `answers`, float64 (n_rows, n_outputs) in raw units, or probabilities (n_rows, n_labels)."""
    if data.labels is not None:
        found = label_score(answers, rows.targets[:, 0].astype(int))
        return Measured(rows=len(rows), overall=found, outputs={data.outputs[0]: found})
    by_output: dict[str, AnyScore] = {
        name: score(answers[:, [place]], rows.targets[:, [place]]) for place, name in enumerate(data.outputs)
    }
    return Measured(rows=len(rows), overall=score(answers, rows.targets), outputs=by_output)


def score(predicted: Array, targets: Array) -> Score:
    """Score numbers, both float64 (n_rows, n_outputs): RMSE, MAE, median and largest error over all outputs.

    R² is the mean of each output's own, as scikit-learn's `r2_score` has it.
    """
    gaps = np.abs(predicted - targets)
    return Score(
        rmse=root_mean_square(gaps),
        mae=float(gaps.mean()),
        median_error=float(np.median(gaps)),
        r2=r_squared(predicted, targets),
        max_error=float(gaps.max()),
    )


def r_squared(predicted: Array, targets: Array) -> float | None:
    """Return R² = 1 - SSE/SST, averaged over outputs; None if the targets of an output are constant."""
    size = np.abs(targets).max(axis=0)
    unit = _unit(size)
    total = (((targets - targets.mean(axis=0)) / unit) ** 2).sum(axis=0)
    rounding = len(targets) * (NEGLIGIBLE * size / unit) ** 2
    if (total <= rounding).any():
        return None
    return float((1 - (((predicted - targets) / unit) ** 2).sum(axis=0) / total).mean())


def root_mean_square(gaps: Array) -> float:
    """Return the root of the mean square of all numbers, also where a square would overflow or vanish."""
    unit = _unit(np.abs(gaps).max())
    return float(np.sqrt(((gaps / unit) ** 2).mean()) * unit)


def _unit(size: Any) -> Any:
    """Return a power of two near `size`. Divided by it, squares neither overflow nor vanish, and no digit is lost."""
    return np.where(size > 0, np.ldexp(1.0, np.frexp(size)[1]), 1.0)


def label_score(probabilities: Array, numbers: NDArray[Any]) -> LabelScore:
    """Score labels: `probabilities` float64 (n_rows, n_labels), `numbers` (n_rows,) of the right labels.

    Precision, recall and F1 that are 0/0 count as 0. The ROC AUC of more than two labels is the mean of each against
    the rest; it is None where a label does not occur.
    """
    n_labels = probabilities.shape[1]
    known, said = np.arange(n_labels), probabilities.argmax(axis=1)
    precision, recall, f1, occurs = precision_recall_fscore_support(numbers, said, labels=known, zero_division=0.0)
    # As in scikit-learn, averages are over the labels that occur: of the others nothing is known.
    is_met = (occurs > 0) | np.isin(known, said)
    is_readable = n_labels <= MOST_CONFUSED
    return LabelScore(
        accuracy=accuracy(said, numbers),
        log_loss=log_loss(probabilities, numbers),
        balanced_accuracy=float(recall[occurs > 0].mean()),
        f1=float(f1[1] if n_labels == 2 else f1[is_met].mean()),
        roc_auc=_roc_auc(probabilities, numbers) if is_readable and (occurs > 0).all() else None,
        confusion=confusion_matrix(numbers, said, labels=known).tolist() if is_readable else [],
        precision=precision.tolist(),
        recall=recall.tolist(),
    )


def accuracy(said: NDArray[Any], numbers: NDArray[Any]) -> float:
    return float((said == numbers).mean())


def log_loss(probabilities: Array, numbers: NDArray[Any]) -> float:
    """Return the mean of -ln p of the right label; p is clipped to [eps, 1 - eps] of float64, as in scikit-learn."""
    right = probabilities[np.arange(len(numbers)), numbers]
    rounding = float(np.finfo(np.float64).eps)
    return float(-np.log(np.clip(right, rounding, 1 - rounding)).mean())


def _roc_auc(probabilities: Array, numbers: NDArray[Any]) -> float:
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(numbers, probabilities[:, 1]))
    each = [roc_auc_score(numbers == label, probabilities[:, label]) for label in range(probabilities.shape[1])]
    return float(np.mean(each))


def author_metrics(overall: AnyScore, n_errors: int) -> dict[str, float]:
    """Return the error as authors of patterns have counted it.

    One of them divides the root of the *sum* of squares by n, which is RMSE / sqrt(n); `n_errors` is that n.
    """
    if isinstance(overall, LabelScore):
        return {"accuracy": overall.accuracy, "log_loss": overall.log_loss}
    return {"rmse": overall.rmse, "mae": overall.mae, "rmse_over_root_n": overall.rmse / math.sqrt(n_errors)}
