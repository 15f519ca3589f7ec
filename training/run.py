"""The verb: `train(spec) -> Bundle`. What it measures itself with is the predictor that will serve.

data -> split -> [ cross-validation ] -> learn from TRAIN rows -> Predictor -> measured on test rows -> Bundle
"""

import os
from dataclasses import replace
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
from training.evaluation.notes import is_lost_outside, notes
from training.evaluation.scores import author_metrics, measured, r_squared
from training.fitting.fit import Diverged
from training.fitting.learn import Learned, learn, row_weights
from training.fitting.progress import Progress
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

MOST_GOLDEN = 16
SOFTWARE = ("keras", "tensorflow", "numpy", "scikit-learn")


def no_tables(dataset: str) -> NoReturn:
    raise DataError("data.dataset: there is no store here to read a table from")


def train(
    spec: PatternSpec,
    *,
    read_table: ReadTable = no_tables,
    device: Device = "auto",
    progress: Progress | None = None,
    job: str | None = None,
) -> Bundle:
    """Deterministic by `spec.seed`. Raises DataError, Diverged, DeviceUnavailable, or whatever `progress` raises."""
    progress = progress or Progress()
    data = dataset_of(spec, read_table)
    crossed, final = None, spec
    if spec.cross_validate is not None:
        crossed = cross_validate(spec, data, data.fitted, device, progress, free_cores(), fits_after=1)
        # The epochs are known now: no row needs to be held back to find them.
        data = replace(data, train=data.fitted, validation=None)
        final = spec.overridden({"fit": {"epochs": crossed.epochs, "early_stopping": None}})
    learned = learn(final, data, device, progress)
    _refuse_worse_than_mean(spec, learned.predictor, data)
    answers = learned.predictor.predict(data.test.inputs)
    return Bundle(
        pattern=spec.name,
        recipe=spec.to_json(),
        architecture=learned.architecture,
        predictor=learned.predictor,
        card=_card(spec, data, learned, answers, crossed, job),
        history=learned.history.to_dict(),
        evaluation=report.evaluation(answers, data.test, data),
        golden_inputs=_golden_rows(data),
    )


def score_folds(
    spec: PatternSpec, *, read_table: ReadTable = no_tables, device: Device = "auto", progress: Progress | None = None
) -> CrossValidation:
    """Nothing is served afterwards, so that all rows are folded, also those that a training would test on."""
    data = dataset_of(spec, read_table)
    return cross_validate(spec, data, joined(data.fitted, data.test), device, progress or Progress(), free_cores())


def dataset_of(spec: PatternSpec, read_table: ReadTable) -> Dataset:
    if isinstance(spec.data, TableData):
        return tables.make(spec, spec.data, read_table(spec.data.dataset))
    return Dataset.make(spec)


def free_cores() -> int:
    """One is left to whoever is served meanwhile."""
    return max(1, (os.cpu_count() or 2) - 1)


def _refuse_worse_than_mean(spec: PatternSpec, predictor: Predictor, data: Dataset) -> None:
    answers = predictor.answers(data.train.inputs)
    if not np.isfinite(answers).all():
        raise Diverged("the network answers its own training rows with numbers that are not finite")
    if data.labels is not None:
        _refuse_worse_than_shares(answers, data.train, row_weights(spec, data.labels, data.train))
        return
    explained = r_squared(answers, data.train.outputs)
    if explained is not None and explained < 0:
        raise Diverged(
            f"on its own training rows the network does worse than their mean would (R² {explained:.3g}); "
            "lower fit.optimizer.learning_rate or raise fit.epochs"
        )


def _refuse_worse_than_shares(probabilities: Array, train: Rows, weights: Encoded | None) -> None:
    """Cross-entropy against that of saying how frequent each label is; rows count as they did in the fit."""
    numbers = train.outputs[:, 0].astype(int)
    counts = np.ones(len(numbers)) if weights is None else weights.astype(np.float64)
    told = np.log(np.maximum(probabilities[np.arange(len(numbers)), numbers], np.finfo(np.float64).tiny))
    shares = np.bincount(numbers, counts) / counts.sum()
    if (counts * told).sum() < (counts * np.log(shares[numbers])).sum():
        raise Diverged(
            "on its own training rows the network does worse than saying how frequent each label is; "
            "lower fit.optimizer.learning_rate or raise fit.epochs"
        )


def _card(
    spec: PatternSpec, data: Dataset, learned: Learned, answers: Array, crossed: CrossValidation | None, job: str | None
) -> Card:
    predictor, history = learned.predictor, learned.history
    train = measured(predictor.predict(data.train.inputs), data.train, data)
    test = measured(answers, data.test, data)
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
        inputs=report.input_columns(data, predictor.encoder),
        outputs=report.output_columns(data, predictor.decoder),
        train=train,
        validation=data.validation and measured(predictor.predict(data.validation.inputs), data.validation, data),
        test=test,
        author_metrics=author_metrics(test.overall, data.test.outputs.size),
        author=spec.author and Author(**spec.author.model_dump()),
        baselines=baselines(
            data,
            predictor.encoder,
            test.overall,
            spec.seed,
            is_lost_outside=is_lost_outside(data, train, test),
        ),
        cross_validation=crossed,
        gaps=report.gaps(answers, data.test, data, predictor.decoder),
        fitted=fitted,
        lineage=Lineage(
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            job=job,
            seed=spec.seed,
            data_sha256=data.sha256(),
            software={name: version_of(name) for name in SOFTWARE},
        ),
        notes=notes(spec, data, history, train, test, learned.architecture.n_parameters),
    )


def _golden_rows(data: Dataset) -> Raw:
    """Rows from all over what it has seen, the corners of each column's range among them."""
    spread = np.linspace(0, len(data.train) - 1, MOST_GOLDEN // 2).astype(int)
    inputs = data.train.inputs
    columns = list(inputs.T) if isinstance(inputs, np.ndarray) else _number_columns(inputs)
    corners = [place(column) for column in columns for place in (np.nanargmin, np.nanargmax)]
    edges = np.array(corners[: MOST_GOLDEN // 2], dtype=int)
    return data.train.take(np.unique(np.concatenate([spread, edges]))).inputs


def _number_columns(table: Table) -> list[Array]:
    """Those that hold a number at all."""
    numbers = [values.astype(np.float64) for values in table.columns.values() if values.dtype != object]
    return [column for column in numbers if not np.isnan(column).all()]
