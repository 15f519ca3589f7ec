"""Cross-validation: the score of a recipe on rows held out in turn, and the number of epochs to fit it for.

folds -> [ fit -> scores on the fold, validation metric of each epoch ] -> mean ± sd, averaged curve, turning point

Small folds are fitted side by side.

With early stopping a fold is fitted once: it watches rows of its own, so that the rows it holds out decide nothing.
Without, it is fitted twice: for all epochs, to find where the folds' averaged and smoothed curve turns, and then for so
many, to be scored there. All folds choose that one number together, so that their scores flatter a little.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any, Self, TypeVar

import numpy as np

from models_store.arrays import Array
from models_store.card import AnyScore, CrossValidation, Fold
from models_store.encoding.outputs import OutputDecoder
from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from training.cluster import Cluster
from training.data.dataset import Dataset, Rows
from training.data.splits import Indices, cut, folds
from training.evaluation.baselines import baselines, beside
from training.evaluation.scores import measured
from training.fitting.learn import Learned, Runtime
from training.fitting.program import Programs
from training.fitting.progress import Progress
from training.fitting.together import Task, learn_each
from training.recipe.fit import CrossValidate
from training.recipe.spec import PatternSpec

Result = TypeVar("Result")
# Of a process of a cluster, kept as long as it.
PROGRAMS = Programs()


@dataclass(frozen=True, eq=False)
class Curve:
    """The metric of each epoch of a fold."""

    values: Array
    """(n_epochs,)."""
    are_logarithms: bool
    """True if the metric is that of logarithms of the targets, which this fold has learned; False: in raw units."""

    @classmethod
    def of(cls, learned: Learned) -> Self:
        curves, decoder = learned.history.curves, learned.predictor.decoder
        are_logarithms = isinstance(decoder, OutputDecoder) and decoder.logarithm is not None
        return cls(curves.get("val_metric", curves["metric"]), are_logarithms)


@dataclass(frozen=True, eq=False)
class Scored:
    """The results of one fold; its network is gone."""

    fold: Fold
    curve: Curve
    """Of the rows that early stopping watched, else of the training rows."""
    baselines: dict[str, float]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of all folds, and the number of epochs that they recommend."""

    scored: list[Scored]
    averaged: list[Curve]
    """The curves of those folds whose metric has the unit that most have."""
    curve: Array
    """The metric of each epoch, averaged over these folds, (n_epochs,)."""
    smoothed: Array
    epochs: int


class Work:
    """Epochs of all fits of a training, done and planned. Folds that are fitted at the same time share it."""

    def __init__(self, progress: Progress, planned: int) -> None:
        self._progress = progress
        self._done = 0
        self._of = planned
        # Folds that are too large to go on side by side are fitted in threads.
        self._lock = threading.Lock()

    def add(self, done: int = 0, spared: int = 0) -> None:
        """Count epochs that are done, and epochs that were planned and turned out not to be needed."""
        with self._lock:
            self._done += done
            self._of -= spared
            self._progress.work(self._done, self._of)


class FoldProgress(Progress):
    """Progress of a fold: it counts epochs, and keeps their curves back, which are not those of the served network."""

    def __init__(self, progress: Progress, work: Work) -> None:
        self._progress = progress
        self._work = work

    def epochs(self, done: int, curves: Mapping[str, Any]) -> None:
        self._work.add(done=len(curves["loss"]))
        self._progress.pulse()

    def pulse(self) -> None:
        self._progress.pulse()


@dataclass(frozen=True, eq=False)
class Divided:
    """Rows, and how they are divided into folds.

    The rows of a fold are copied when it is fitted, so that few copies are in memory.
    """

    data: Dataset
    rows: Rows
    splits: list[tuple[Indices, Indices]]

    def scores(self, spec: PatternSpec, numbers: Iterable[int], runtime: Runtime, workers: int = 1) -> Iterator[Scored]:
        """Fit these folds, from 0, and score each on the rows it holds out, in order."""
        tasks = (Task(_of_fold(spec, number), self._scored_part(spec, number)) for number in numbers)
        return learn_each(tasks, runtime, partial(self._scored, spec.seed), workers)

    def curves(self, spec: PatternSpec, numbers: Iterable[int], runtime: Runtime, workers: int = 1) -> Iterator[Curve]:
        """Fit these folds; yield the curve of each on the rows that it holds out, in order."""
        tasks = (Task(_of_fold(spec, number), self._watched_part(number)) for number in numbers)
        return learn_each(tasks, runtime, lambda _, learned: Curve.of(learned), workers)

    def _scored_part(self, spec: PatternSpec, number: int) -> Dataset:
        rest, held_out = self.splits[number]
        return replace(with_own_validation(spec, self.data, self.rows, rest), test=self.rows.take(held_out))

    def _watched_part(self, number: int) -> Dataset:
        rest, held_out = self.splits[number]
        return replace(self.data, train=self.rows.take(rest), validation=self.rows.take(held_out))

    def _scored(self, seed: int, task: Task, learned: Learned) -> Scored:
        part = task.data
        score = measured(learned.predictor.predict(part.test.inputs), part.test, self.data).overall
        others = beside(part, learned.predictor.encoder, seed)
        return Scored(
            Fold(rows=len(part.test), score=score, best_epoch=learned.history.best_epoch),
            Curve.of(learned),
            baselines(part, others, score).figures,
        )


def _of_fold(spec: PatternSpec, number: int) -> PatternSpec:
    # Each fold begins with weights of its own.
    return spec.overridden({"seed": (spec.seed + number) % 2**32})


class Folding:
    """The work of fitting the folds of some rows, here or on the cluster of the runtime.

    The planned work includes the `fits_after` fits that follow the cross-validation.
    """

    def __init__(
        self, spec: PatternSpec, data: Dataset, rows: Rows, runtime: Runtime, workers: int = 1, fits_after: int = 0
    ) -> None:
        self.data = data
        are_labels = data.labels is not None
        self.splits = list(folds(rows, _recipe(spec), spec.seed % 2**32, are_labels=are_labels))
        passes = 1 if spec.fit.early_stopping else 2
        self.work = Work(runtime.progress, (passes * len(self.splits) + fits_after) * spec.fit.most_epochs)
        self._divided = Divided(data, rows, self.splits)
        self._progress = runtime.progress
        self._runtime = replace(runtime, progress=FoldProgress(runtime.progress, self.work))
        self._workers = workers
        ground = Ground(self._divided, runtime.device)
        self._there = None if runtime.cluster is None else FoldsThere(runtime.cluster, ground, self.work)

    def curves(self, spec: PatternSpec) -> list[Curve]:
        """Fit each fold; return its curve on the rows it holds out."""
        if self._there is not None:
            return list(self._there.curves(spec, self._progress.pulse))
        return list(self._divided.curves(spec, range(len(self.splits)), self._runtime, self._workers))

    def scores(self, spec: PatternSpec) -> list[Scored]:
        """Fit each fold, score it on the rows it holds out, and report it."""
        scored = []
        for number, one in enumerate(self._scores(spec), start=1):
            scored.append(one)
            self.work.add(spared=spec.fit.most_epochs - len(one.curve.values))
            self._progress.fold(number, len(self.splits), figures_of(one.fold.score))
        return scored

    def scored(self, spec: PatternSpec, numbers: Iterable[int]) -> Iterator[Scored]:
        """Fit these folds here, from 0, and score each on the rows it holds out."""
        return self._divided.scores(spec, numbers, self._runtime, self._workers)

    def _scores(self, spec: PatternSpec) -> Iterator[Scored]:
        if self._there is not None:
            return self._there.scores(spec, self._progress.pulse)
        return self.scored(spec, range(len(self.splits)))


@dataclass(frozen=True, eq=False)
class Ground:
    """All that the folds have in common, as it lies in a cluster."""

    divided: Divided
    device: Device


class FoldsThere:
    """Folds on the nodes of a cluster: the rows are put there once, and a call fits some of them."""

    def __init__(self, cluster: Cluster, ground: Ground, work: Work) -> None:
        self._cluster = cluster
        self._ground = cluster.put(ground)
        self._n_folds = len(ground.divided.splits)
        self._gpus = 1 if ground.device == "gpu" else 0
        self._work = work

    def curves(self, spec: PatternSpec, pulse: Callable[[], None]) -> Iterator[Curve]:
        for curve in self._each(_curves_there, spec, pulse):
            self._work.add(done=len(curve.values))
            yield curve

    def scores(self, spec: PatternSpec, pulse: Callable[[], None]) -> Iterator[Scored]:
        for scored in self._each(_scores_there, spec, pulse):
            self._work.add(done=len(scored.curve.values))
            yield scored

    def _each(
        self,
        work: Callable[[Ground, tuple[PatternSpec, range]], list[Result]],
        spec: PatternSpec,
        pulse: Callable[[], None],
    ) -> Iterator[Result]:
        """Yield the result of each fold in order, as soon as it is there. Raises the first error, CallLost included."""
        asked = [(spec, some) for some in self._parts()]
        ended: dict[int, list[Result]] = {}
        told = 0
        for place, results in self._cluster.each(work, self._ground, asked, pulse, gpus=self._gpus):
            if isinstance(results, PatternServerError):
                raise results
            ended[place] = results
            while told in ended:
                yield from ended[told]
                told += 1

    def _parts(self) -> list[range]:
        """Return the folds in parts, one for each core at most; the folds of a part may go on side by side."""
        size = ceil(self._n_folds / max(1, self._cluster.cores))
        return [range(first, min(first + size, self._n_folds)) for first in range(0, self._n_folds, size)]


def _curves_there(ground: Ground, asked: tuple[PatternSpec, range]) -> list[Curve]:
    return list(ground.divided.curves(*asked, _runtime_there(ground)))


def _scores_there(ground: Ground, asked: tuple[PatternSpec, range]) -> list[Scored]:
    return list(ground.divided.scores(*asked, _runtime_there(ground)))


def _runtime_there(ground: Ground) -> Runtime:
    return Runtime(ground.device, Progress(), PROGRAMS)


def cross_validate(
    spec: PatternSpec, data: Dataset, rows: Rows, runtime: Runtime, workers: int = 1, fits_after: int = 0
) -> CrossValidation:
    """Cross-validate a recipe on `rows`; those of `data` are not used. The same seed gives the same result.

    `workers` threads share what is not fitted side by side. `fits_after` is the number of fits that will follow for the
    epochs found here.
    Raises DataError where there are more folds than rows, rows of a label, groups or moments.
    """
    folding = Folding(spec, data, rows, runtime, workers, fits_after)
    folding.work.add()
    found = _for_chosen_epochs(spec, folding) if spec.fit.early_stopping is None else _stopping_early(spec, folding)
    folding.work.add(spared=fits_after * (spec.fit.most_epochs - found.epochs))
    return _summary(found, data)


def _for_chosen_epochs(spec: PatternSpec, folding: Folding) -> Outcome:
    """Fit each fold for all epochs, find where the averaged curve turns, and fit again for so many epochs."""
    alike = of_one_unit(folding.curves(spec))
    curve = _average(alike)
    smoothed = moving_average(curve, _recipe(spec).smoothing)
    epochs = 1 + int(smoothed.argmin() if folding.data.labels is None else smoothed.argmax())
    folding.work.add(spared=len(folding.splits) * (spec.fit.most_epochs - epochs))
    scored = folding.scores(spec.overridden({"fit": {"epochs": epochs}}))
    return Outcome(scored, alike, curve, smoothed, epochs)


def _stopping_early(spec: PatternSpec, folding: Folding) -> Outcome:
    """Fit each fold until it stops by itself; the number of epochs is the median of their best ones."""
    scored = folding.scores(spec)
    alike = of_one_unit([one.curve for one in scored])
    curve = _average(alike)
    epochs = max(1, round(float(np.median([one.fold.best_epoch for one in scored]))))
    return Outcome(scored, alike, curve, moving_average(curve, _recipe(spec).smoothing), epochs)


def _summary(found: Outcome, data: Dataset) -> CrossValidation:
    figures = [figures_of(one.fold.score) for one in found.scored]
    return CrossValidation(
        folds=[one.fold for one in found.scored],
        mean=_over_folds(np.mean, figures),
        sd=_over_folds(lambda values: np.std(values, ddof=1), figures),
        baselines=_over_folds(np.mean, [one.baselines for one in found.scored]),
        metric="mae" if data.labels is None else "accuracy",
        curve=found.curve.tolist(),
        smoothed=found.smoothed.tolist(),
        curve_folds=None if len(found.averaged) == len(found.scored) else len(found.averaged),
        are_logarithms=found.averaged[0].are_logarithms,
        epochs=found.epochs,
    )


def figures_of(score: AnyScore) -> dict[str, float]:
    """Return the numbers of a score that can be compared between folds."""
    return {name: value for name, value in score.model_dump().items() if isinstance(value, float)}


def moving_average(curve: Array, smoothing: float) -> Array:
    """Return the exponential moving average s of a curve: s[t] = smoothing * s[t-1] + (1 - smoothing) * curve[t]."""
    smoothed = curve.copy()
    for place in range(1, len(curve)):
        smoothed[place] = smoothing * smoothed[place - 1] + (1 - smoothing) * curve[place]
    return smoothed


def _over_folds(summary: Callable[[list[float]], Any], figures: list[dict[str, float]]) -> dict[str, float]:
    """Summarise each figure that every fold has: a fold of one row has no R², one of a single label no ROC AUC."""
    common = [name for name in figures[0] if all(name in each for each in figures)]
    return {name: float(summary([each[name] for each in figures])) for name in common}


def _recipe(spec: PatternSpec) -> CrossValidate:
    return spec.cross_validate or CrossValidate()


def with_own_validation(spec: PatternSpec, data: Dataset, rows: Rows, rest: Indices) -> Dataset:
    """Return the remaining rows of a fold, split into training rows and those that early stopping watches, if any."""
    if spec.fit.early_stopping is None or spec.split.validation == 0:
        return replace(data, train=rows.take(rest), validation=None)
    are_labels = data.labels is not None
    train, watched = cut(rows, rest, spec.split, "validation", spec.seed % 2**32, are_labels=are_labels)
    return replace(data, train=rows.take(train), validation=rows.take(watched))


def of_one_unit(curves: list[Curve]) -> list[Curve]:
    """Return the curves whose metric has the unit that most have; of as many each, those in raw units.

    With `scaling.targets: auto` some folds may learn logarithms, and others the targets as they are.
    """
    logarithms = [curve for curve in curves if curve.are_logarithms]
    raw = [curve for curve in curves if not curve.are_logarithms]
    return logarithms if len(logarithms) > len(raw) else raw


def _average(curves: list[Curve]) -> Array:
    """Return the mean of each epoch over the folds that were still fitted then, (longest n_epochs,)."""
    longest = max(len(curve.values) for curve in curves)
    padded = np.full((len(curves), longest), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve.values)] = curve.values
    return np.asarray(np.nanmean(padded, axis=0))
