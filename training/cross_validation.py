"""Cross-validation: how a recipe does on rows held out in turn, and for how many epochs it should be fitted.

folds -> [ fit -> scores on the fold, validation metric of each epoch ] -> mean ± sd, averaged curve, turning point

A recipe that stops early watches rows of its own, so that the fold decides nothing. One that does not is fitted twice:
for all its epochs, to find where the folds' averaged and smoothed curve turns, and then for so many, to be scored
there; as all folds together chose that one number, their scores flatter a little.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from models_store.arrays import Array
from models_store.card import AnyScore, CrossValidation, Fold
from models_store.networks.architecture import Device
from training.data.dataset import DataError, Dataset, Rows
from training.data.tables import cut
from training.evaluation.baselines import baselines
from training.evaluation.scores import measured
from training.fitting.learn import Learned, learn
from training.fitting.progress import Progress
from training.recipe.fit import CrossValidate
from training.recipe.spec import PatternSpec

Places = NDArray[np.int64]
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Scored:
    """What is kept of a fold, when its network is gone."""

    fold: Fold
    curve: Array
    beside: dict[str, float]


class Work:
    """Epochs of all fits of a training, done and to do. Folds that are fitted at the same time share it."""

    def __init__(self, progress: Progress, planned: int) -> None:
        self._progress = progress
        self._done = 0
        self._of = planned
        self._lock = threading.Lock()

    def add(self, done: int = 0, spared: int = 0) -> None:
        """`spared`: were planned, and turned out not to be needed."""
        with self._lock:
            self._done += done
            self._of -= spared
            self._progress.work(self._done, self._of)


class Watching(Progress):
    """Passes on only how much is done: the epochs of a fold are not those of the served network."""

    def __init__(self, progress: Progress, work: Work) -> None:
        self._progress = progress
        self._work = work

    def epochs(self, done: int, curves: Mapping[str, Any]) -> None:
        self._work.add(done=len(curves["loss"]))
        self._progress.pulse()

    def pulse(self) -> None:
        self._progress.pulse()


class Folding:
    """The folds of some rows under a recipe. Each is cut out when it is fitted, so that one at a time is held."""

    def __init__(self, spec: PatternSpec, data: Dataset, rows: Rows, device: Device, progress: Progress) -> None:
        self._data = data
        self._rows = rows
        self._device = device
        self._progress = progress
        self.places = list(_places(spec, data, rows))

    def curve(self, spec: PatternSpec, number: int) -> Array:
        """The metric of each epoch on the rows that are held out."""
        rest, held_out = self.places[number]
        part = replace(self._data, train=self._rows.take(rest), validation=self._rows.take(held_out))
        return self._learned(spec, part, number).history.curves["val_metric"]

    def scored(self, spec: PatternSpec, number: int) -> Scored:
        rest, held_out = self.places[number]
        part = _with_own_validation(spec, self._data, self._rows, rest)
        test = self._rows.take(held_out)
        learned = self._learned(spec, part, number)
        score = measured(learned.predictor.predict(test.inputs), test, self._data).overall
        beside = baselines(replace(part, test=test), learned.predictor.encoder, score, spec.seed)
        curves = learned.history.curves
        return Scored(
            Fold(rows=len(test), score=score, best_epoch=learned.history.best_epoch),
            curves.get("val_metric", curves["metric"]),
            beside.figures,
        )

    def _learned(self, spec: PatternSpec, part: Dataset, number: int) -> Learned:
        """Each fold with other weights to begin with."""
        other = spec.overridden({"seed": (spec.seed + number) % 2**32})
        return learn(other, part, self._device, self._progress)


def cross_validate(
    spec: PatternSpec,
    data: Dataset,
    rows: Rows,
    device: Device,
    progress: Progress,
    workers: int = 1,
    fits_after: int = 0,
) -> CrossValidation:
    """`rows` are folded; those of `data` are not looked at. Deterministic by seed, however many workers there are.

    `fits_after`: how often a network will be fitted for the epochs that are found here.
    """
    recipe = spec.cross_validate or CrossValidate()
    passes = 1 if spec.fit.early_stopping else 2
    planned = passes * recipe.folds * recipe.repeats + fits_after
    work = Work(progress, planned * spec.fit.epochs)
    work.add()
    folding = Folding(spec, data, rows, device, Watching(progress, work))
    n_folds = len(folding.places)
    curve, final = np.empty(0), spec
    if spec.fit.early_stopping is None:
        curve = _average(list(_each(workers, lambda number: folding.curve(spec, number), n_folds)))
        smoothed = moving_average(curve, recipe.smoothing)
        epochs = 1 + int(smoothed.argmax() if data.labels is not None else smoothed.argmin())
        final = spec.overridden({"fit": {"epochs": epochs}})
        work.add(spared=n_folds * (spec.fit.epochs - epochs))
    scored = []
    for number, one in enumerate(_each(workers, lambda place: folding.scored(final, place), n_folds), start=1):
        scored.append(one)
        work.add(spared=final.fit.epochs - len(one.curve))
        progress.fold(number, n_folds, figures_of(one.fold.score))
    if spec.fit.early_stopping is not None:
        curve = _average([one.curve for one in scored])
        smoothed = moving_average(curve, recipe.smoothing)
        epochs = max(1, round(float(np.median([one.fold.best_epoch for one in scored]))))
    work.add(spared=fits_after * (spec.fit.epochs - epochs))
    figures = [figures_of(one.fold.score) for one in scored]
    return CrossValidation(
        folds=[one.fold for one in scored],
        mean=_over_folds(np.mean, figures),
        sd=_over_folds(lambda values: np.std(values, ddof=1), figures),
        baselines=_over_folds(np.mean, [one.beside for one in scored]),
        metric="mae" if data.labels is None else "accuracy",
        curve=curve.tolist(),
        smoothed=smoothed.tolist(),
        epochs=epochs,
    )


def figures_of(score: AnyScore) -> dict[str, float]:
    """The numbers of a score that folds can be compared by."""
    return {name: value for name, value in score.model_dump().items() if isinstance(value, float)}


def moving_average(curve: Array, smoothing: float) -> Array:
    """Exponential: each value is `smoothing` of the one before it and the rest of what was measured."""
    smoothed = curve.copy()
    for place in range(1, len(curve)):
        smoothed[place] = smoothing * smoothed[place - 1] + (1 - smoothing) * curve[place]
    return smoothed


def _over_folds(summary: Callable[[list[float]], Any], figures: list[dict[str, float]]) -> dict[str, float]:
    """Of the figures that every fold has: of two rows there is no R², of one label no ROC AUC."""
    common = [name for name in figures[0] if all(name in each for each in figures)]
    return {name: float(summary([each[name] for each in figures])) for name in common}


def _places(spec: PatternSpec, data: Dataset, rows: Rows) -> Iterator[tuple[Places, Places]]:
    """Of each fold the rows that are left, and those that are held out."""
    recipe = spec.cross_validate or CrossValidate()
    numbers = rows.outputs[:, 0] if data.labels is not None and recipe.stratified else None
    fewest = len(rows) if numbers is None else int(np.unique(numbers, return_counts=True)[1].min())
    if fewest < recipe.folds:
        raise DataError(f"cross_validate.folds: {recipe.folds} folds need as many rows, of each label if stratified")
    kind = RepeatedKFold if numbers is None else RepeatedStratifiedKFold
    folding = kind(n_splits=recipe.folds, n_repeats=recipe.repeats, random_state=spec.seed % 2**32)
    yield from folding.split(np.zeros(len(rows)), numbers)


def _with_own_validation(spec: PatternSpec, data: Dataset, rows: Rows, rest: Places) -> Dataset:
    if spec.fit.early_stopping is None or spec.split.validation == 0:
        return replace(data, train=rows.take(rest), validation=None)
    numbers = rows.outputs[:, 0] if data.labels is not None else None
    train, watched = cut(rest, spec.split, "validation", spec.seed % 2**32, numbers)
    return replace(data, train=rows.take(train), validation=rows.take(watched))


def _each(workers: int, work: Callable[[int], Result], n_folds: int) -> Iterator[Result]:
    """In order, each as soon as it is there."""
    if workers == 1:
        yield from map(work, range(n_folds))
        return
    with ThreadPoolExecutor(workers) as threads:
        yield from threads.map(work, range(n_folds))


def _average(curves: list[Array]) -> Array:
    """Of those that were still fitted at an epoch."""
    longest = max(map(len, curves))
    padded = np.full((len(curves), longest), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve)] = curve
    return np.asarray(np.nanmean(padded, axis=0))
