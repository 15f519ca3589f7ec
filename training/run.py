"""A training from recipe to bundle: `train(spec) -> Bundle`. Scores are those of the predictor that will serve.

data -> split -> [ cross-validation ] -> learn from TRAIN rows -> Predictor -> measured on test rows -> Bundle
"""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from typing import NoReturn

import numpy as np

from models_store.arrays import Array, Encoded
from models_store.bundle import Bundle, Predictor
from models_store.card import Author, Card, CrossValidation, Fitted, Lineage
from models_store.networks.architecture import Device
from models_store.tables.table import Raw, Table
from training.cross_validation import cross_validate
from training.data import tables
from training.data.dataset import DataError, Dataset, Rows, joined
from training.data.tables import ReadTable
from training.evaluation import report
from training.evaluation.baselines import baselines
from training.evaluation.missing import with_worth
from training.evaluation.notes import is_lost_outside, notes
from training.evaluation.scores import author_metrics, measured, r_squared
from training.fitting.fit import Diverged
from training.fitting.learn import Learned, Runtime, learn, sample_weights
from training.fitting.program import Programs
from training.fitting.progress import Progress
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

MOST_GOLDEN = 16
SOFTWARE = ("keras", "tensorflow", "numpy", "scikit-learn")
# Kept as long as the process: a retraining of the same shape compiles nothing.
PROGRAMS = Programs()


@dataclass(frozen=True, eq=False)
class Answers:
    """The network's answers to all training rows and test rows: float64 (n_rows, n_outputs), raw or probabilities."""

    train: Array
    test: Array


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
) -> Bundle:
    """Train the recipe's network and score it; the same `spec.seed` gives the same bundle.

    `read_table` reads the table of a dataset id; `job` is noted on the card; `programs` are compiled by earlier fits.
    Raises DataError where nothing can be learned from the data, NotFinite where the network has no finite answer to a
    test row, Diverged, DeviceUnavailable, and whatever `progress` raises.
    """
    runtime = Runtime(device, progress or Progress(), programs)
    data = dataset_of(spec, read_table)
    crossed, final = None, spec
    if spec.cross_validate is not None:
        crossed = cross_validate(spec, data, data.fitted, runtime, free_cores(), fits_after=1)
        # The number of epochs is known now, so that no rows need to be held back to find it.
        data = replace(data, train=data.fitted, validation=None)
        final = spec.overridden({"fit": {"epochs": crossed.epochs, "early_stopping": None}})
    learned = learn(final, data, runtime)
    answers = _answers(spec, learned.predictor, data)
    return Bundle(
        pattern=spec.name,
        recipe=spec.to_json(),
        architecture=learned.architecture,
        predictor=learned.predictor,
        card=_card(spec, data, learned, answers, crossed, job),
        history=learned.history.to_dict(),
        evaluation=report.evaluation(answers.test, data.test, data),
        golden_inputs=_golden_rows(data),
    )


def score_folds(
    spec: PatternSpec,
    *,
    read_table: ReadTable = no_tables,
    device: Device = "auto",
    progress: Progress | None = None,
    programs: Programs = PROGRAMS,
) -> CrossValidation:
    """Cross-validate a recipe on all of its rows, the test rows included, because nothing is served afterwards.

    Test rows of a table of their own stay out. Raises what `train` raises.
    """
    data = dataset_of(spec, read_table)
    runtime = Runtime(device, progress or Progress(), programs)
    has_own_test = isinstance(spec.data, TableData) and spec.data.test is not None
    rows = data.fitted if has_own_test else joined(data.fitted, data.test)
    return cross_validate(spec, data, rows, runtime, free_cores())


def dataset_of(spec: PatternSpec, read_table: ReadTable) -> Dataset:
    if isinstance(spec.data, TableData):
        test = None if spec.data.test is None else read_table(spec.data.test)
        return tables.make(spec, spec.data, read_table(spec.data.dataset), test)
    return Dataset.make(spec)


def free_cores() -> int:
    """Return the number of cores to fit folds on; one is left to the server."""
    return max(1, (os.cpu_count() or 2) - 1)


def _answers(spec: PatternSpec, predictor: Predictor, data: Dataset) -> Answers:
    """Predict each row once. Raises Diverged after the training rows, NotFinite where a test row has no answer."""
    train = predictor.answers(data.train.inputs)
    _refuse_worse_than_constant(spec, train, data)
    return Answers(train, predictor.predict(data.test.inputs))


def _refuse_worse_than_constant(spec: PatternSpec, answers: Array, data: Dataset) -> None:
    """Raise Diverged if the network does worse on its own training rows than one constant answer would.

    `answers` float64 (n_rows, n_outputs) in raw units, or probabilities (n_rows, n_labels).
    """
    if not np.isfinite(answers).all():
        raise Diverged("the network answers its own training rows with numbers that are not finite")
    if data.labels is not None:
        _refuse_worse_than_shares(answers, data.train, sample_weights(spec, data.labels, data.train))
        return
    explained = r_squared(answers, data.train.targets, data.train.weights)
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
    spec: PatternSpec,
    data: Dataset,
    learned: Learned,
    answers: Answers,
    crossed: CrossValidation | None,
    job: str | None,
) -> Card:
    predictor, history = learned.predictor, learned.history
    train = measured(answers.train, data.train, data)
    test = measured(answers.test, data.test, data)
    fitted = Fitted(
        epochs=len(history.loss),
        best_epoch=history.best_epoch,
        stopped_early=history.stopped_early,
        final_loss=float(history.loss[-1]),
        seconds=learned.seconds,
        rows=len(data.train),
        parameters=learned.architecture.n_parameters,
        engine="keras-tensorflow",
        device=predictor.network.device,
    )
    return Card(
        task="regression" if data.labels is None else "classification",
        inputs=with_worth(report.input_columns(data, predictor.encoder), predictor, data, spec.seed),
        outputs=report.output_columns(data, predictor.decoder),
        train=train,
        validation=data.validation and measured(predictor.predict(data.validation.inputs), data.validation, data),
        test=test,
        author_metrics=author_metrics(test.overall, data.test.targets.size),
        author=spec.author and Author(**spec.author.model_dump()),
        baselines=baselines(
            data,
            predictor.encoder,
            test.overall,
            spec.seed,
            is_lost_outside=is_lost_outside(data, train, test),
        ),
        cross_validation=crossed,
        gaps=report.gaps(answers.test, data.test, data, predictor.decoder),
        fitted=fitted,
        lineage=Lineage(
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            job=job,
            seed=spec.seed,
            data_sha256=data.sha256(),
            software={name: version_of(name) for name in SOFTWARE},
        ),
        left_out=list(data.left_out),
        notes=notes(spec, data, history, train, test, learned.architecture.n_parameters),
    )


def _golden_rows(data: Dataset) -> Raw:
    """Return at most 16 training rows: some spread over all of them, and those with the extremes of each column."""
    spread = np.linspace(0, len(data.train) - 1, MOST_GOLDEN // 2).astype(int)
    inputs = data.train.inputs
    columns = list(inputs.T) if isinstance(inputs, np.ndarray) else _number_columns(inputs)
    corners = [place(column) for column in columns for place in (np.nanargmin, np.nanargmax)]
    edges = np.array(corners[: MOST_GOLDEN // 2], dtype=int)
    return data.train.take(np.unique(np.concatenate([spread, edges]))).inputs


def _number_columns(table: Table) -> list[Array]:
    """Return the columns of numbers, dates and booleans in which at least one row has a value."""
    numbers = [values.astype(np.float64) for values in table.columns.values() if values.dtype != object]
    return [column for column in numbers if not np.isnan(column).all()]
