"""How good answers are on one set of rows: errors of numbers in raw units, or how well labels are told."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from models_store.arrays import Array
from models_store.card import AnyScore, LabelScore, Measured, Score
from models_store.encoding.scaler import NEGLIGIBLE
from training.data.dataset import Dataset, Rows

# With more labels than these a confusion matrix is larger than the network, and nobody reads it.
MOST_CONFUSED = 100


def measured(answers: Array, rows: Rows, data: Dataset) -> Measured:
    """`answers` (n_rows, n_outputs) in raw units, or probabilities (n_rows, n_labels)."""
    if data.labels is not None:
        told = label_score(answers, rows.outputs[:, 0].astype(int))
        return Measured(rows=len(rows), overall=told, outputs={data.outputs[0]: told})
    by_output: dict[str, AnyScore] = {
        name: score(answers[:, [place]], rows.outputs[:, [place]]) for place, name in enumerate(data.outputs)
    }
    return Measured(rows=len(rows), overall=score(answers, rows.outputs), outputs=by_output)


def score(predicted: Array, labels: Array) -> Score:
    """RMSE, MAE, median, largest error over all outputs; R² is the mean of the outputs' own, as scikit-learn has it."""
    gaps = np.abs(predicted - labels)
    return Score(
        rmse=root_mean_square(gaps),
        mae=float(gaps.mean()),
        median_error=float(np.median(gaps)),
        r2=r_squared(predicted, labels),
        max_error=float(gaps.max()),
    )


def r_squared(predicted: Array, labels: Array) -> float | None:
    """1 - SSE/SST, averaged over outputs; None if an output's labels are constant."""
    size = np.abs(labels).max(axis=0)
    unit = _unit(size)
    total = (((labels - labels.mean(axis=0)) / unit) ** 2).sum(axis=0)
    rounding = len(labels) * (NEGLIGIBLE * size / unit) ** 2
    if (total <= rounding).any():
        return None
    return float((1 - (((predicted - labels) / unit) ** 2).sum(axis=0) / total).mean())


def root_mean_square(gaps: Array) -> float:
    unit = _unit(np.abs(gaps).max())
    return float(np.sqrt(((gaps / unit) ** 2).mean()) * unit)


def _unit(size: Any) -> Any:
    """A power of two near the size, so that squares of what is very small do not vanish, and others stay the same."""
    return np.where(size > 0, np.ldexp(1.0, np.frexp(size)[1]), 1.0)


def label_score(probabilities: Array, numbers: NDArray[Any]) -> LabelScore:
    """`probabilities` (n_rows, n_labels), `numbers` (n_rows,) of the right labels. What is 0/0 counts as 0."""
    n_labels = probabilities.shape[1]
    known, said = np.arange(n_labels), probabilities.argmax(axis=1)
    precision, recall, f1, occurs = precision_recall_fscore_support(numbers, said, labels=known, zero_division=0.0)
    # Averages are over the labels that occur, as scikit-learn has it: nothing can be said of the others.
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
    """Mean of -ln of the right label's probability, which rounding keeps from being 0 or 1."""
    right = probabilities[np.arange(len(numbers)), numbers]
    rounding = float(np.finfo(np.float64).eps)
    return float(-np.log(np.clip(right, rounding, 1 - rounding)).mean())


def _roc_auc(probabilities: Array, numbers: NDArray[Any]) -> float:
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(numbers, probabilities[:, 1]))
    each = [roc_auc_score(numbers == label, probabilities[:, label]) for label in range(probabilities.shape[1])]
    return float(np.mean(each))


def author_metrics(overall: AnyScore, n_errors: int) -> dict[str, float]:
    """The error as authors have counted it; one of them divides the root of the *sum* by n, which is RMSE / sqrt(n)."""
    if isinstance(overall, LabelScore):
        return {"accuracy": overall.accuracy, "log_loss": overall.log_loss}
    return {"rmse": overall.rmse, "mae": overall.mae, "rmse_over_root_n": overall.rmse / math.sqrt(n_errors)}
