"""The verb: `train(spec) -> Bundle`. What it measures itself with is the predictor that will serve.

data -> split -> encoders from TRAIN rows -> fit -> Predictor -> measured on test rows -> Bundle
"""

import time
from datetime import UTC, datetime
from importlib.metadata import version as version_of

import numpy as np

from models_store.bundle import Bundle, Predictor
from models_store.card import Author, Card, Fitted, Lineage
from models_store.encoding import InputEncoder, OutputDecoder, monomials
from models_store.network import Device, KerasNetwork, build, device_name, on_device
from models_store.scaler import Array, Scaler
from training import report
from training.build import architecture_of
from training.data import Dataset, Rows
from training.fit import Diverged, Examples, Report, fit
from training.spec import PatternSpec

MOST_GOLDEN = 16
SOFTWARE = ("keras", "tensorflow", "numpy")


def silent(done: int, loss: object, val_loss: object) -> None:
    """The report of somebody who only wants the result."""


def train(spec: PatternSpec, *, device: Device = "auto", progress: Report = silent, job: str | None = None) -> Bundle:
    """Deterministic by `spec.seed`. Raises DataError, Diverged, DeviceUnavailable, or whatever `progress` raises."""
    data = Dataset.make(spec)
    encoder, decoder = encoders(spec, data.train)
    validation = None if data.validation is None else _examples(data.validation, encoder, decoder)
    architecture = architecture_of(spec, encoder.n_inputs)
    started = time.perf_counter()
    with on_device(device_name(device)):
        model = build(architecture, spec.seed)
        history = fit(model, _examples(data.train, encoder, decoder), validation, spec.fit, spec.seed, progress)
    seconds = time.perf_counter() - started
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise Diverged("a weight of the network is no longer a number; lower fit.optimizer.learning_rate")
    network = KerasNetwork(model, architecture, device)
    predictor = Predictor(encoder, network, decoder)
    _refuse_worse_than_mean(predictor, data.train)
    fitted = Fitted(
        epochs=len(history.loss),
        best_epoch=history.best_epoch,
        stopped_early=history.stopped_early,
        final_loss=float(history.loss[-1]),
        seconds=round(seconds, 3),
        rows=len(data.train),
        parameters=architecture.n_parameters,
        engine="keras-tensorflow",
        device=network.device,
    )
    predicted = predictor.predict(data.test.inputs)
    return Bundle(
        pattern=spec.name,
        recipe=spec.to_json(),
        architecture=architecture,
        predictor=predictor,
        card=_card(spec, data, predictor, predicted, fitted, report.notes(spec, data, history), job),
        history=history.to_dict(),
        evaluation=report.evaluation(predicted, data.test),
        golden_inputs=_golden_rows(data),
    )


def encoders(spec: PatternSpec, train: Rows) -> tuple[InputEncoder, OutputDecoder]:
    """Both learn from the training rows alone, so that validation and test rows stay unseen."""
    scaling, degree, dtype = spec.scaling, spec.network.polynomial_degree, spec.network.dtype
    scaler = Scaler.fit(scaling.method, monomials(train.inputs, degree), scaling.scope)
    n_outputs = train.outputs.shape[1]
    match scaling.outputs:
        case "shared":
            output_scaler = scaler.shared_with(n_outputs)
        case "own":
            output_scaler = Scaler.fit(scaling.method, train.outputs, scaling.scope)
        case "none":
            output_scaler = Scaler.identity(n_outputs)
    return (
        InputEncoder(spec.data.columns(), degree, scaler, dtype),
        OutputDecoder(tuple(spec.data.outputs), output_scaler, dtype),
    )


def _examples(rows: Rows, encoder: InputEncoder, decoder: OutputDecoder) -> Examples:
    return Examples(encoder.encode(rows.inputs), decoder.encode(rows.outputs))


def _refuse_worse_than_mean(predictor: Predictor, train: Rows) -> None:
    answers = predictor.answers(train.inputs)
    if not np.isfinite(answers).all():
        raise Diverged("the network answers its own training rows with numbers that are not finite")
    explained = report.r_squared(answers, train.outputs)
    if explained is not None and explained < 0:
        raise Diverged(
            f"on its own training rows the network does worse than their mean would (R² {explained:.3g}); "
            "lower fit.optimizer.learning_rate or raise fit.epochs"
        )


def _card(
    spec: PatternSpec,
    data: Dataset,
    predictor: Predictor,
    predicted: Array,
    fitted: Fitted,
    notes: list[str],
    job: str | None,
) -> Card:
    test = report.measured(predicted, data.test, data.outputs)
    return Card(
        inputs=report.column_ranges(data.inputs, data.train.inputs),
        outputs=report.column_ranges(data.outputs, data.train.outputs),
        train=report.measured(predictor.predict(data.train.inputs), data.train, data.outputs),
        validation=data.validation
        and report.measured(predictor.predict(data.validation.inputs), data.validation, data.outputs),
        test=test,
        author_metrics=report.author_metrics(test.overall, data.test.outputs.size),
        author=spec.author and Author(**spec.author.model_dump()),
        baselines=report.baselines(data, test.overall.rmse),
        gaps=report.gaps(predicted, data.test),
        fitted=fitted,
        lineage=Lineage(
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            job=job,
            seed=spec.seed,
            data_sha256=data.sha256(),
            software={name: version_of(name) for name in SOFTWARE},
        ),
        notes=notes,
    )


def _golden_rows(data: Dataset) -> Array:
    """Rows from all over what it has seen, the corners of each column's range among them."""
    spread = np.linspace(0, len(data.train) - 1, MOST_GOLDEN // 2).astype(int)
    edges = np.concatenate([data.train.inputs.argmin(axis=0), data.train.inputs.argmax(axis=0)])[: MOST_GOLDEN // 2]
    return data.train.take(np.unique(np.concatenate([spread, edges]))).inputs
