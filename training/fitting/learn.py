"""One fit: rows -> encoders from TRAIN rows -> Keras model -> the predictor that will serve, and how that went."""

import time
from dataclasses import dataclass

import numpy as np

from models_store.arrays import Encoded
from models_store.bundle import Predictor
from models_store.networks.architecture import Architecture, Device
from models_store.networks.keras_network import KerasNetwork, build, device_name, on_device
from training.data.dataset import DataError, Dataset, Labels, Rows
from training.fitting.encoders import encoders
from training.fitting.fit import Diverged, Examples, History, Objective, fit
from training.fitting.keras_parts import architecture_of, loss_name, measure_of, unit_of, with_dropout
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec


@dataclass(frozen=True, eq=False)
class Learned:
    predictor: Predictor
    architecture: Architecture
    history: History
    seconds: float


def learn(spec: PatternSpec, data: Dataset, device: Device, progress: Progress) -> Learned:
    """Deterministic by `spec.seed`. Raises DataError, Diverged, DeviceUnavailable, or whatever `progress` raises."""
    loss = loss_name(spec.fit, data.labels)
    encoder, decoder = encoders(spec, data, loss)
    architecture = architecture_of(spec, encoder.n_inputs, decoder)
    # Encoded first, so that what is too much to hold is said before anything is built.
    train = Examples(
        _finite(encoder.encode(data.train.inputs)),
        decoder.encode(data.train.outputs),
        row_weights(spec, data.labels, data.train),
    )
    held_out = None
    if data.validation is not None:
        held_out = Examples(encoder.encode(data.validation.inputs), decoder.encode(data.validation.outputs))
    progress.pulse()
    started = time.perf_counter()
    with on_device(device_name(device)):
        model = build(architecture, spec.seed)
        history = fit(
            with_dropout(model, spec.network.dropout, spec.seed),
            train,
            held_out,
            spec.fit,
            spec.seed,
            progress.epochs,
            Objective(loss, measure_of(decoder), unit_of(decoder)),
            progress.checkpoint,
            progress.pulse,
        )
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise Diverged("a weight of the network is no longer a number; lower fit.optimizer.learning_rate")
    seconds = round(time.perf_counter() - started, 3)
    predictor = Predictor(encoder, KerasNetwork(model, architecture, device), decoder)
    return Learned(predictor, architecture, history, seconds)


def _finite(inputs: Encoded) -> Encoded:
    """Without a copy, because there may be gigabytes."""
    if not np.isfinite([inputs.min(initial=0.0), inputs.max(initial=0.0)]).all():
        raise DataError(
            f"data: a value of a training row is too large for a network of {inputs.dtype}; set scaling.method, or "
            "network.dtype: float64"
        )
    return inputs


def row_weights(spec: PatternSpec, labels: Labels | None, rows: Rows) -> Encoded | None:
    """Keras' class weights: how much each row counts, by its label."""
    wanted = spec.fit.class_weights
    if wanted is None:
        return None
    if labels is None:
        raise DataError("fit.class_weights: are for labels, and the target is numbers")
    numbers = rows.outputs[:, 0].astype(int)
    if wanted == "balanced":
        counts = np.bincount(numbers, minlength=len(labels.names))
        weights = len(numbers) / (len(labels.names) * np.maximum(counts, 1))
    else:
        unknown = sorted(wanted.keys() - set(labels.names))
        if unknown:
            raise DataError(f"fit.class_weights: there is no such label; there are {', '.join(labels.names[:20])}")
        weights = np.array([wanted.get(name, 1.0) for name in labels.names])
    weighted: Encoded = weights[numbers].astype(spec.network.dtype)
    return weighted
