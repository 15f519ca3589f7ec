"""A training from recipe to bundle: `train(spec) -> Bundle`.

data -> split -> [ cross-validation ] -> learn from TRAIN rows -> Predictor -> measured on test rows -> Bundle
                                                  [ learn again, from all rows -> Predictor ] -> Bundle
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from typing import NoReturn

import numpy as np

from models_store.arrays import Array, Encoded
from models_store.bundle import Bundle
from models_store.card import Author, Calibration, Card, CrossValidation, Fitted, Lineage, Measured, Refit, RegionFacts
from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from models_store.out_of_fold import OutOfFold
from models_store.profiles.profile import Profile
from models_store.region.region import Region
from models_store.tables.table import Raw, Table, places_spread
from training.calibrating import Trained, calibrated
from training.closed_form.find import closed_forms
from training.cluster import Cluster
from training.cross_validation import cross_validate
from training.data import tables
from training.data.dataset import DataError, Dataset, Rows, joined
from training.data.subsample import subsample
from training.data.tables import ReadTable
from training.evaluation import report
from training.evaluation.baselines import Beside, baselines, beside, differences_to
from training.evaluation.missing import with_worth
from training.evaluation.notes import encoding_notes, is_lost_outside, notes, without_formula
from training.evaluation.scores import author_metrics, measured, r_squared, root_mean_square
from training.fitting.chosen import chosen, settled, with_pairs
from training.fitting.fit import Diverged, Extent
from training.fitting.learn import Learned, Runtime, learn, sample_weights
from training.fitting.program import Programs
from training.fitting.progress import Progress
from training.fitting.together import Task, try_each
from training.recipe.data import FormulaData, TableData
from training.recipe.extras import check_extras
from training.recipe.spec import PatternSpec
from training.refit import FirstFit, Followed, SecondFit, rows_of
from training.region import region_of

MOST_GOLDEN = 16
# Answers to fewer test rows tell less of how answers are distributed than those to the training rows.
FEWEST_LIKE_REQUESTS = 100
# Numbers that a version keeps of the answers out of fold: enough for every quantile, and a few megabytes.
MOST_OUT_OF_FOLD = 200_000
SOFTWARE = ("keras", "tensorflow", "numpy", "scikit-learn")
# Kept as long as the process: a retraining of the same shape compiles nothing.
PROGRAMS = Programs()


@dataclass(frozen=True, eq=False)
class Answers:
    """The network's answers to all training rows and test rows: float64 (n_rows, n_outputs), raw or probabilities."""

    train: Array
    test: Array
    spread: Array | None
    """The standard deviation of the members' answers to the test rows; None of a network of one."""


@dataclass(frozen=True, eq=False)
class Training:
    """All that the card of a version tells of."""

    spec: PatternSpec
    used: PatternSpec
    """The recipe with what it leaves open chosen."""
    data: Dataset
    measured: Learned
    """The fit on the training rows, that the scores of test rows are of."""
    answers: Answers
    others: Beside
    """The answers of the baselines to the test rows."""
    served: Learned
    """The fit that is served: the same, or a second one on all rows."""
    rows: Rows
    """The rows that the served network was fitted on."""
    crossed: CrossValidation | None

    @property
    def is_refitted(self) -> bool:
        return self.served is not self.measured


def no_tables(dataset: str) -> NoReturn:
    raise DataError("data.dataset: this training has no store to read a table from; give it one, or use a formula")


def train(
    spec: PatternSpec,
    *,
    read_table: ReadTable = no_tables,
    device: Device = "auto",
    progress: Progress | None = None,
    job: str | None = None,
    programs: Programs = PROGRAMS,
    cluster: Cluster | None = None,
    cores: int | None = None,
) -> Bundle:
    """Train the recipe's network and score it; the same `spec.seed` gives the same bundle.

    `read_table` reads the table of a dataset id; `job` is noted on the card; `programs` are compiled by earlier fits;
    `cluster` fits the folds of a cross-validation; on two of the `cores` both fits go on at the same time (None: those
    of this process).
    Raises RecipeError where the recipe asks for what is not installed, DataError where nothing can be learned from the
    data, NotFinite where the network has no finite answer to a test row, Diverged, DeviceUnavailable, and whatever
    `progress` raises.
    """
    check_extras(spec)
    told = FirstFit(progress or Progress())
    runtime = Runtime(device, told, programs, cluster, cores or own_cores())
    return _bundle(_trained(spec, dataset_of(spec, read_table), told, runtime), job, told.pulse)


def fits_once(spec: PatternSpec) -> bool:
    """Return True if the fit on the training rows is all that a training of the recipe does."""
    return spec.cross_validate is None and not spec.split.refit


def task_of(spec: PatternSpec, read_table: ReadTable, progress: Progress) -> Task:
    """Return a training for `train_each`, told to `progress`. Raises RecipeError and DataError as `train` does."""
    check_extras(spec)
    return Task(spec, dataset_of(spec, read_table), progress)


def train_each(
    tasks: Iterable[Task], *, device: Device = "auto", progress: Progress | None = None, programs: Programs = PROGRAMS
) -> Iterator[Bundle | PatternServerError]:
    """Train recipes that `fits_once` is True of; yield the bundle of each, or why there is none, in order.

    Small fits that are alike go on side by side. Each bundle is as that of `train`, to rounding; the seconds of its fit
    are a share of those that all took. Raises DeviceUnavailable, and whatever a `progress` raises.
    """
    runtime = Runtime(device, progress or Progress(), programs)

    def made(task: Task, fit: Learned) -> Bundle:
        return _bundle(_of_one_fit(task.spec, task.data, fit), None, runtime.progress.pulse)

    return try_each(tasks, runtime, made, free_cores())


def _bundle(training: Training, job: str | None, pulse: Callable[[], None]) -> Bundle:
    spec, data, served = training.spec, training.data, training.served
    golden = _golden_rows(training.rows)
    calibration, facts = calibrated(Trained(spec, data, training.measured, served, training.answers.test, golden))
    region = region_of(training.rows.inputs, served.predictor.encoder, spec.seed)
    return Bundle(
        pattern=spec.name,
        recipe=spec.to_json(),
        architecture=served.architecture,
        predictor=served.predictor,
        card=_card(training, facts, region, job, pulse),
        history=training.measured.history.to_dict(),
        evaluation=report.evaluation(
            spec, training.answers.test, data.test, data, training.others, training.answers.spread
        ),
        golden_inputs=golden,
        out_of_fold=_kept(served.out_of_fold, spec.seed),
        calibration=calibration,
        profile=_profile(training),
        region=region,
    )


def _trained(spec: PatternSpec, data: Dataset, told: FirstFit, runtime: Runtime) -> Training:
    """Cross-validate if the recipe says so, fit and measure, and fit again on all rows if there are more of them."""
    used = chosen(spec, data)
    all_rows = rows_of(spec, data)
    crossed = None
    if spec.cross_validate is not None:
        fits_after = 1 if all_rows is None else 2
        crossed = cross_validate(used, data, data.fitted, runtime, free_cores(), fits_after)
        # The number of epochs is known now, so that no rows need to be held back to find it.
        data = replace(data, train=data.fitted, validation=None)
        used = used.overridden({"fit": {"epochs": crossed.epochs, "early_stopping": None}})
    elif all_rows is not None:
        told.work(0, 2 * used.fit.most_epochs)
    used = with_pairs(used, data)
    if all_rows is None:
        return _of_one_fit(spec, data, learn(used, data, runtime), crossed)
    with SecondFit(data, all_rows, runtime, told) as second:
        followed = replace(runtime, progress=Followed(told, second))
        measured = learn(used, data, followed, Extent(n_rows=len(all_rows)))
        answers, others = _answers(measured, data), beside(data, measured.predictor.encoder, spec.seed)
        served = second.learned(measured)
    _refuse_worse_than_constant(measured.spec, served.predictor.answers(all_rows.inputs), all_rows, data)
    return Training(spec, measured.spec, data, measured, answers, others, served, all_rows, crossed)


def _of_one_fit(spec: PatternSpec, data: Dataset, fit: Learned, crossed: CrossValidation | None = None) -> Training:
    answers, others = _answers(fit, data), beside(data, fit.predictor.encoder, spec.seed)
    return Training(spec, with_pairs(fit.spec, data), data, fit, answers, others, fit, data.train, crossed)


def score_folds(
    spec: PatternSpec,
    *,
    read_table: ReadTable = no_tables,
    device: Device = "auto",
    progress: Progress | None = None,
    programs: Programs = PROGRAMS,
    cluster: Cluster | None = None,
) -> CrossValidation:
    """Cross-validate a recipe on all of its rows, the test rows included, because nothing is served afterwards.

    Test rows of a table of their own stay out. Raises what `train` raises.
    """
    data = dataset_of(spec, read_table)
    runtime = Runtime(device, progress or Progress(), programs, cluster)
    has_own_test = isinstance(spec.data, TableData) and spec.data.test is not None
    rows = data.fitted if has_own_test else joined(data.fitted, data.test)
    return cross_validate(chosen(spec, data), data, rows, runtime, free_cores())


def dataset_of(spec: PatternSpec, read_table: ReadTable) -> Dataset:
    if isinstance(spec.data, TableData):
        test = None if spec.data.test is None else read_table(spec.data.test)
        return tables.make(spec, spec.data, read_table(spec.data.dataset), test)
    return Dataset.make(spec)


def own_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_cores() -> int:
    """Return the number of cores to fit folds on; one is left to the server."""
    return max(1, own_cores() - 1)


def _answers(measured: Learned, data: Dataset) -> Answers:
    """Predict each row once. Raises Diverged after the training rows, NotFinite where a test row has no answer."""
    predictor, asked = measured.predictor, data.test.inputs
    train = predictor.answers(data.train.inputs)
    _refuse_worse_than_constant(measured.spec, train, data.train, data)
    spread = predictor.spread(asked) if measured.architecture.members > 1 else None
    return Answers(train, predictor.predict(asked), spread)


def _refuse_worse_than_constant(spec: PatternSpec, answers: Array, rows: Rows, data: Dataset) -> None:
    """Raise Diverged if the network does worse on its own training rows than one constant answer would.

    `answers` to these rows: float64 (n_rows, n_outputs) in raw units, or probabilities (n_rows, n_labels).
    """
    if not np.isfinite(answers).all():
        raise Diverged("the network answers its own training rows with numbers that are not finite")
    if data.labels is not None:
        _refuse_worse_than_shares(answers, rows, sample_weights(spec, data.labels, rows))
        return
    explained = r_squared(answers, rows.targets, rows.weights)
    if explained is not None and explained < 0:
        raise Diverged(
            f"on its own training rows the network does worse than their mean would (R² {explained:.3g}); "
            "lower fit.optimizer.learning_rate or raise fit.epochs"
        )


def _refuse_worse_than_shares(probabilities: Array, train: Rows, weights: Encoded | None) -> None:
    """Compare the cross-entropy with that of the labels' shares of the rows; rows count as they did in the fit."""
    numbers = train.targets[:, 0].astype(int)
    counts = np.ones(len(numbers)) if weights is None else weights.astype(np.float64)
    log_p = np.log(np.maximum(probabilities[np.arange(len(numbers)), numbers], np.finfo(np.float64).tiny))
    shares = np.bincount(numbers, counts) / counts.sum()
    if (counts * log_p).sum() < (counts * np.log(shares[numbers])).sum():
        raise Diverged(
            "on its own training rows the network does worse than saying how frequent each label is; "
            "lower fit.optimizer.learning_rate or raise fit.epochs"
        )


def _card(
    training: Training,
    calibration: Calibration,
    region: Region | None,
    job: str | None,
    pulse: Callable[[], None],
) -> Card:
    spec, data, answers = training.spec, training.data, training.answers
    predictor, history = training.measured.predictor, training.measured.history
    n_parameters = training.measured.architecture.n_parameters
    train = measured(answers.train, data.train, data)
    test = measured(answers.test, data.test, data)
    seen = replace(data, train=training.rows)
    columns = report.input_columns(seen, training.served.predictor.encoder)
    forms = closed_forms(data, answers.test, spec.seed, spec.formula, pulse)
    lacking = [output for output in data.outputs if output not in forms] if spec.outside == "formula" else []
    return Card(
        task="regression" if data.labels is None else "classification",
        inputs=with_worth(columns, predictor, data, spec.seed),
        outputs=report.output_columns(seen, predictor.decoder),
        train=train,
        validation=data.validation and measured(predictor.predict(data.validation.inputs), data.validation, data),
        test=test,
        out_of_fold=_out_of_fold(training),
        calibration=calibration,
        region=region and _region_facts(region),
        author_metrics=author_metrics(test.overall, data.test.targets.size),
        author=spec.author and Author(**spec.author.model_dump()),
        baselines=baselines(
            data,
            training.others,
            test.overall,
            differences_to(training.others, answers.test, data, spec.seed),
            is_lost_outside=is_lost_outside(data, train, test),
            spread=None if answers.spread is None else root_mean_square(answers.spread, data.test.weights),
        ),
        cross_validation=training.crossed,
        gaps=report.gaps(answers.test, data.test, data, predictor.decoder),
        fitted=_fitted(training),
        lineage=Lineage(
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            job=job,
            seed=spec.seed,
            data_sha256=data.sha256(),
            software={name: version_of(name) for name in SOFTWARE},
        ),
        left_out=list(data.left_out),
        closed_forms=forms,
        outside="warn" if lacking else spec.outside,
        notes=[
            *notes(spec, data, history, train, test, n_parameters),
            *encoding_notes(predictor.encoder),
            *without_formula(lacking),
        ],
    )


def _region_facts(region: Region) -> RegionFacts:
    return RegionFacts(rows=len(region.training), landmarks=len(region.groups.places), pairs=region.pairs)


def _fitted(training: Training) -> Fitted:
    fit, served = training.measured, training.served
    second = Refit(rows=len(training.rows), epochs=len(served.history.loss), seconds=served.seconds)
    return Fitted(
        epochs=len(fit.history.loss),
        best_epoch=fit.history.best_epoch,
        stopped_early=fit.history.stopped_early,
        final_loss=float(fit.history.loss[-1]),
        seconds=fit.seconds,
        rows=len(training.data.train),
        parameters=fit.architecture.n_parameters,
        engine="keras-tensorflow",
        device=fit.predictor.network.device,
        refit=second if training.is_refitted else None,
        chosen=settled(training.spec, training.used, fit.architecture.members),
        temperature=served.temperature,
    )


def _out_of_fold(training: Training) -> Measured | None:
    found = training.served.out_of_fold
    return None if found is None else measured(found.answers, training.rows, training.data)


def _kept(found: OutOfFold | None, seed: int) -> OutOfFold | None:
    """Return the answers out of fold to all rows, or to a random subsample, as far as a version keeps them."""
    if found is None:
        return None
    return found.take(subsample(len(found.targets), max(1, MOST_OUT_OF_FOLD // found.answers.shape[1]), seed))


def _profile(training: Training) -> Profile:
    """Return the histograms of the rows that the served network has learned from, and of answers."""
    predictor, answers = training.served.predictor, training.answers
    # A network may answer rows that it has learned from otherwise than new ones: better, and more surely.
    is_like_requests = are_like_requests(training.spec) and len(answers.test) >= FEWEST_LIKE_REQUESTS
    said = answers.test if is_like_requests else answers.train
    return Profile.learn(training.rows.inputs, said, predictor.encoder, predictor.decoder)


def are_like_requests(spec: PatternSpec) -> bool:
    """True if the test rows were drawn at random from the same rows as the training rows."""
    has_own_test = isinstance(spec.data, TableData | FormulaData) and spec.data.test is not None
    return spec.split.shuffle and spec.split.group is None and spec.split.time is None and not has_own_test


def _golden_rows(rows: Rows) -> Raw:
    """Return at most 16 of the rows: some spread over all of them, and those with the extremes of each column."""
    spread = places_spread(len(rows), MOST_GOLDEN // 2)
    inputs = rows.inputs
    columns = list(inputs.T) if isinstance(inputs, np.ndarray) else _number_columns(inputs)
    corners = [place(column) for column in columns for place in (np.nanargmin, np.nanargmax)]
    edges = np.array(corners[: MOST_GOLDEN // 2], dtype=int)
    return rows.take(np.unique(np.concatenate([spread, edges]))).inputs


def _number_columns(table: Table) -> list[Array]:
    """Return the columns of kinds that are numbers within, dates and times too, in which some row has a value."""
    numbers = [values.astype(np.float64) for values in table.columns.values() if values.dtype != object]
    return [column for column in numbers if not np.isnan(column).all()]
