"""How good a bundle is: scores in raw units on rows that no decision has touched, baselines, and lessons in words."""

import math

import numpy as np

from models_store.bundle import Evaluation
from models_store.card import Baselines, Column, Gap, Measured, Score
from models_store.scaler import NEGLIGIBLE, Array
from training.data import Dataset, Rows
from training.fit import History
from training.spec import FormulaData, PatternSpec

MOST_GAPS = 10
MOST_EVALUATED = 2000
# A network that is not this much better than a straight line is not worth its keep.
WORTHWHILE = 0.9


def measured(predicted: Array, rows: Rows, outputs: tuple[str, ...]) -> Measured:
    """Both (n_rows, n_outputs), raw units."""
    by_output = {name: score(predicted[:, [place]], rows.outputs[:, [place]]) for place, name in enumerate(outputs)}
    return Measured(rows=len(rows), overall=score(predicted, rows.outputs), outputs=by_output)


def score(predicted: Array, labels: Array) -> Score:
    """RMSE, MAE and largest error over all outputs; R² is the mean of the outputs' own, as scikit-learn has it."""
    gaps = np.abs(predicted - labels)
    return Score(
        rmse=_root_mean_square(gaps),
        mae=float(gaps.mean()),
        r2=r_squared(predicted, labels),
        max_error=float(gaps.max()),
    )


def r_squared(predicted: Array, labels: Array) -> float | None:
    """1 - SSE/SST, averaged over outputs; None if an output's labels are constant."""
    total = ((labels - labels.mean(axis=0)) ** 2).sum(axis=0)
    rounding = len(labels) * (NEGLIGIBLE * np.abs(labels).max(axis=0)) ** 2
    if (total <= rounding).any():
        return None
    return float((1 - ((predicted - labels) ** 2).sum(axis=0) / total).mean())


def author_metrics(overall: Score, n_errors: int) -> dict[str, float]:
    """The error as authors have counted it; one of them divides the root of the *sum* by n, which is RMSE / sqrt(n)."""
    return {"rmse": overall.rmse, "mae": overall.mae, "rmse_over_root_n": overall.rmse / math.sqrt(n_errors)}


def baselines(data: Dataset, network_rmse: float) -> Baselines:
    """What the mean and a straight line (ordinary least squares), both from train rows, do on the same test rows."""
    mean_rmse = _root_mean_square(data.train.outputs.mean(axis=0) - data.test.outputs)
    offset, scale = data.train.inputs.mean(axis=0), data.train.inputs.std(axis=0)
    scale[scale == 0] = 1.0
    design = np.column_stack([np.ones(len(data.train)), (data.train.inputs - offset) / scale])
    weights, *_ = np.linalg.lstsq(design, data.train.outputs, rcond=None)
    test = np.column_stack([np.ones(len(data.test)), (data.test.inputs - offset) / scale])
    linear_rmse = _root_mean_square(test @ weights - data.test.outputs)
    spread = float(np.abs(data.test.outputs).max()) or 1.0
    return Baselines(
        mean_rmse=mean_rmse, linear_rmse=linear_rmse, verdict=_verdict(network_rmse, linear_rmse, mean_rmse, spread)
    )


def _verdict(network: float, linear: float, mean: float, spread: float) -> str:
    ours, line, average = plain(network), plain(linear), plain(mean)
    if linear < 1e-9 * spread:
        return f"A straight line is exact here; the network comes within RMSE {ours} of it."
    if network > mean:
        return f"Even the training mean does better on the test rows: RMSE {average}, the network {ours}."
    if network > WORTHWHILE * linear:
        return f"A straight line would have done: RMSE {line} against the network's {ours}."
    return f"The network earns its place: RMSE {ours}; a straight line has {line}, the mean {average}."


def plain(value: float) -> str:
    """Three significant digits, without an exponent where people do without."""
    if value == 0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{float(f'{value:.3g}'):,.15g}"


def column_ranges(names: tuple[str, ...], rows: Array) -> list[Column]:
    lowest, highest = rows.min(axis=0), rows.max(axis=0)
    return [
        Column(name=name, minimum=float(low), maximum=float(high))
        for name, low, high in zip(names, lowest, highest, strict=True)
    ]


def gaps(predicted: Array, rows: Rows) -> list[Gap]:
    """The first test rows: predicted, label and the difference."""
    return [
        Gap(inputs=row.tolist(), predicted=answer.tolist(), label=label.tolist(), gap=(answer - label).tolist())
        for row, answer, label in zip(
            rows.inputs[:MOST_GAPS], predicted[:MOST_GAPS], rows.outputs[:MOST_GAPS], strict=True
        )
    ]


def evaluation(predicted: Array, rows: Rows) -> Evaluation:
    shown = slice(MOST_EVALUATED)
    return Evaluation(rows.inputs[shown].tolist(), predicted[shown].tolist(), rows.outputs[shown].tolist())


def notes(spec: PatternSpec, data: Dataset, history: History) -> list[str]:
    """The lessons that this very training shows, each in a sentence."""
    said = []
    lowest, highest = data.train.inputs.min(axis=0), data.train.inputs.max(axis=0)
    n_outside = int(((data.test.inputs < lowest) | (data.test.inputs > highest)).any(axis=1).sum())
    if n_outside > len(data.test) / 10:
        said.append(
            f"{n_outside} of {len(data.test)} test rows lie outside the region it was trained on; a network does not "
            "follow a curve beyond what it has seen, so expect its worst errors there."
        )
    if data.duplicates_dropped:
        said.append(f"{data.duplicates_dropped} duplicate rows were dropped, so that no test row is a training row.")
    elif (n_leaked := _seen_before(data)) > 0:
        said.append(
            f"{n_leaked} of {len(data.test)} test rows are training rows as well, so the test error flatters; "
            "set data.unique: true."
        )
    if spec.scaling.method == "none":
        said.append("Nothing was scaled; with scaling learned from the training rows, fewer epochs usually do.")
    if isinstance(spec.data, FormulaData) and len(data.train) < 20 * len(data.inputs) * len((*spec.network.layers, 1)):
        said.append(f"It has seen only {len(data.train)} training rows; more data usually helps more than more layers.")
    if history.val_loss is not None:
        said.extend(_overfitting(history.val_loss, history.best_epoch))
    return said


def _seen_before(data: Dataset) -> int:
    train = {row.tobytes() for row in np.ascontiguousarray(data.train.inputs)}
    return sum(row.tobytes() in train for row in np.ascontiguousarray(data.test.inputs))


def _overfitting(val_loss: Array, kept_epoch: int) -> list[str]:
    """Of the weights that were kept; what the loss did after them harms nobody."""
    best = int(np.argmin(val_loss))
    if kept_epoch < len(val_loss):
        return [f"It stopped after epoch {len(val_loss)}; the weights of epoch {kept_epoch} were kept."]
    if val_loss[kept_epoch - 1] > 1.1 * val_loss[best]:
        return [
            f"It over-fits: the validation loss was lowest at epoch {best + 1} and has risen since; "
            "fit.early_stopping would have kept those weights."
        ]
    return []


def _root_mean_square(gaps: Array) -> float:
    return float(np.sqrt((gaps**2).mean()))
