"""One fit: rows -> encoders from TRAIN rows -> Keras model -> the predictor that will serve, and its history."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Encoded
from models_store.bundle import Predictor
from models_store.encoding.outputs import Decoder, OutputDecoder
from models_store.encoding.rows import Encoder
from models_store.errors import shortened, shortened_name
from models_store.networks.architecture import Architecture, Device
from models_store.networks.keras_network import KerasNetwork, build, device_name, keras, on_device, tf
from models_store.out_of_fold import OutOfFold
from training.cluster import Cluster
from training.data.dataset import DataError, Dataset, Labels, Rows
from training.data.splits import left_out
from training.fitting import heavy_tails, logarithms
from training.fitting.calibration import cool, temperature
from training.fitting.chosen import chosen
from training.fitting.encoders import encoders, training_inputs
from training.fitting.fit import AS_THE_RECIPE_SAYS, Diverged, Examples, Extent, Objective, fit, is_calibrated
from training.fitting.keras_parts import apart, architecture_of, loss_name, measure_of, unit_of, with_dropout
from training.fitting.members import LeftOut
from training.fitting.program import Programs
from training.fitting.progress import History, Progress, Quiet
from training.recipe.spec import PatternSpec

# Network inputs of all members in one call after the fit, which bounds its memory.
MOST_INPUTS = 1 << 23
NOT_FINITE = "a weight of the network is not finite after the fit; lower fit.optimizer.learning_rate"


@dataclass(frozen=True, eq=False)
class Runtime:
    """A device, a listener, and compiled programs: all that the fits of one training share."""

    device: Device
    progress: Progress
    programs: Programs
    cluster: Cluster | None = None
    """Fits the folds of a cross-validation; None: they are fitted here."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A fitted predictor, and the fit that made it."""

    spec: PatternSpec
    """The recipe of the fit, with what it left open chosen; pairs of columns may be open still."""
    predictor: Predictor
    architecture: Architecture
    history: History
    seconds: float
    """Wall time of the fit, compilation included."""
    out_of_fold: OutOfFold | None
    """Of some training rows at least, in their order; None where no member left a row out."""
    temperature: float | None = None
    """What the logits of labels were divided by after the fit; None where probabilities are as they were learned."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """Encoder and decoder, and the rows that they encoded, all of the network's dtype."""

    encoder: Encoder
    decoder: Decoder
    inputs: Encoded
    targets: Encoded
    validation: tuple[Encoded, Encoded] | None
    """Inputs and targets of the validation rows; None where there are none."""

    @classmethod
    def of(cls, spec: PatternSpec, data: Dataset) -> Self:
        """`spec` leaves nothing open. Raises DataError where the rows cannot be encoded."""
        encoder, decoder = encoders(spec, data, loss_name(spec.fit, data.labels))
        inputs = _finite(training_inputs(encoder, data, spec.seed))
        validation = None
        if data.validation is not None:
            validation = encoder.encode(data.validation.inputs), decoder.encode(data.validation.targets)
        return cls(encoder, decoder, inputs, decoder.encode(data.train.targets), validation)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A fit before it begins."""

    spec: PatternSpec
    """Leaves nothing open, but for targets that are `auto`, which are learned as they are."""
    encoding: Encoding
    architecture: Architecture
    train: Examples
    held_out: Examples | None
    objective: Objective

    @classmethod
    def of(
        cls, spec: PatternSpec, data: Dataset, encoded: Callable[[PatternSpec, Dataset], Encoding] = Encoding.of
    ) -> Self:
        """Raises DataError where the rows cannot be encoded, or do not fit the recipe."""
        spec = chosen(spec, data)
        encoding = encoded(spec, data)
        decoder = encoding.decoder
        architecture = architecture_of(spec, encoding.encoder.n_inputs, decoder)
        train = Examples(
            encoding.inputs,
            encoding.targets,
            sample_weights(spec, data.labels, data.train),
            _left_out(architecture.members, data, spec.seed),
        )
        objective = Objective(loss_name(spec.fit, data.labels), measure_of(decoder), unit_of(decoder))
        return cls(spec, encoding, architecture, train, _held_out(spec, data, encoding, train), objective)

    @property
    def dropout(self) -> float:
        dropout = self.spec.network.dropout
        assert dropout != "auto"
        return dropout


def learn(spec: PatternSpec, data: Dataset, runtime: Runtime, extent: Extent = AS_THE_RECIPE_SAYS) -> Learned:
    """Fit the recipe's network to the training rows; the same `spec.seed` gives the same network to the bit.

    `extent` says how far, where a second fit follows this one, or follows another.
    Raises DataError where the rows cannot be encoded, Diverged where a loss or weight is not finite, DeviceUnavailable
    where there is no GPU and one is asked for, and whatever `runtime.progress` raises.
    """
    if spec.scaling.targets == "auto":
        return _better_of(spec, data, runtime, extent)
    # Encoded before the model is built, so that rows too many or too large are refused early.
    prepared = Prepared.of(spec, data)
    spec, architecture, train = prepared.spec, prepared.architecture, prepared.train
    encoder, decoder = prepared.encoding.encoder, prepared.encoding.decoder
    runtime.progress.pulse()
    started = time.perf_counter()
    with on_device(device_name(runtime.device)):
        model = build(architecture, spec.seed)
        history = fit(
            with_dropout(apart(model), prepared.dropout, spec.seed),
            train,
            prepared.held_out,
            spec.fit,
            spec.seed,
            runtime.progress,
            prepared.objective,
            runtime.programs,
            extent,
        )
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise Diverged(NOT_FINITE)
    seconds = round(time.perf_counter() - started, 3)
    left, degree = None, None
    if train.left_out is not None:
        with on_device(device_name(runtime.device)):
            left = _out_of_fold(apart(model), train.inputs, train.left_out, decoder, data.train)
            if is_calibrated(spec.fit, train, prepared.objective):
                degree = temperature(left.answers, data.train.targets[:, 0].astype(int), train.sample_weights)
                cool(apart(model).layers[-1], degree)
                left = _out_of_fold(apart(model), train.inputs, train.left_out, decoder, data.train)
    network = KerasNetwork(model, architecture, runtime.device)
    if isinstance(decoder, OutputDecoder) and decoder.logarithm is not None:
        with on_device(network.device):
            decoder = _calibrated(decoder, encoder, network, train, data)
            if train.left_out is not None:
                left = _out_of_fold(apart(model), train.inputs, train.left_out, decoder, data.train)
    return Learned(spec, Predictor(encoder, network, decoder), architecture, history, seconds, left, degree)


@dataclass(frozen=True)
class Way:
    """Another way to learn numbers than by the squares of their errors: fields of the recipe, and when it is better."""

    fields: Mapping[str, object]
    is_better: Callable[[Array, Array, Rows], bool]
    """Its answers, those of the usual way, and rows that neither has learned from."""


USUAL: Mapping[str, object] = {"scaling": {"targets": "none"}}
LOGARITHMS = Way({"scaling": {"targets": "log"}}, logarithms.are_better)
HUBER = Way({"scaling": {"targets": "none"}, "fit": {"loss": "huber"}}, heavy_tails.are_better)


def _way_of(spec: PatternSpec, data: Dataset) -> Way | None:
    """Return what is worth a try by the training targets, where there are rows that judge it; None: nothing is."""
    if data.labels is not None or (data.validation is None and spec.network.most_members == 1):
        return None
    if logarithms.may_pay(data.train.targets) and not _have_negative(spec, data):
        return LOGARITHMS
    return HUBER if spec.fit.loss == "auto" and heavy_tails.may_pay(data.train.targets) else None


def _have_negative(spec: PatternSpec, data: Dataset) -> bool:
    """True if a target that is validated by, or that a second fit learns from, has no logarithm."""
    others = [data.validation, data.test if spec.split.refit else None]
    return any(bool((rows.targets < 0).any()) for rows in others if rows is not None)


def _better_of(spec: PatternSpec, data: Dataset, runtime: Runtime, extent: Extent) -> Learned:
    """Fit the network in the usual way and, where that is worth a try, in another; return the better fit."""
    way = _way_of(spec, data)
    if way is None:
        return learn(spec.overridden(USUAL), data, runtime, extent)
    tried = learn(spec.overridden(way.fields), data, replace(runtime, progress=Quiet(runtime.progress)), extent)
    usual = learn(spec.overridden(USUAL), data, runtime, extent)
    rows = data.validation or data.train
    return tried if way.is_better(_judged(tried, data), _judged(usual, data), rows) else usual


def _judged(learned: Learned, data: Dataset) -> Array:
    """Return the answers to rows that were not learned from: those that members left out, or the validation rows."""
    if learned.out_of_fold is not None:
        return learned.out_of_fold.answers
    assert data.validation is not None
    return learned.predictor.answers(data.validation.inputs)


def _calibrated(
    decoder: OutputDecoder, encoder: Encoder, network: KerasNetwork, train: Examples, data: Dataset
) -> OutputDecoder:
    """Return the decoder whose answers are means, of rows that were left out, of validation rows, or of all rows."""
    if train.left_out is not None:
        members = apart(network.model)
        left = _out_of_fold(members, train.inputs, train.left_out, decoder.of_logarithms, data.train)
        # The mean of exp of one member exceeds exp of the mean of all, which answers, by half their variance.
        found = left.answers - left.spread**2 / 2
        return logarithms.calibrated(decoder, found, data.train.targets, data.train.weights)
    rows = data.validation or data.train
    found = Predictor(encoder, network, decoder.of_logarithms).answers(rows.inputs)
    return logarithms.calibrated(decoder, found, rows.targets, rows.weights)


def _held_out(spec: PatternSpec, data: Dataset, encoding: Encoding, train: Examples) -> Examples | None:
    """Return the validation rows, or the training rows where members leave some of them out; None without either."""
    if data.validation is not None and encoding.validation is not None:
        return Examples(*encoding.validation, _weights(data.validation, spec))
    return None if train.left_out is None else replace(train, sample_weights=_weights(data.train, spec))


def _left_out(members: int, data: Dataset, seed: int) -> LeftOut:
    """Return the rows that each member leaves out; None where there are validation rows, or one member.

    Raises DataError where a member would leave out all rows.
    """
    if members == 1 or data.validation is not None:
        return None
    return left_out(data.train, members, seed % 2**32, are_labels=data.labels is not None)


def _each_member(model: keras.Model, inputs: Encoded, members: int, decoder: Decoder) -> Array:
    """Return the answers of each, float64 (members, n_rows, n_answers); `model` has the members apart."""
    asked = tf.repeat(tf.constant(inputs)[:, None], members, axis=1)
    outputs = model(asked, training=False).numpy()
    return np.stack([decoder.decode(outputs[:, member]) for member in range(members)])


def _out_of_fold(
    model: keras.Model, inputs: Encoded, left_out: NDArray[np.bool_], decoder: Decoder, rows: Rows
) -> OutOfFold:
    """Answer each row by the member that left it out; `model` has the members apart, `inputs` (n_rows, n_inputs)."""
    answers, spreads = [], []
    n_rows = max(1, MOST_INPUTS // (left_out.shape[1] * inputs.shape[1]))
    for start in range(0, len(inputs), n_rows):
        some = slice(start, start + n_rows)
        each = _each_member(model, inputs[some], left_out.shape[1], decoder)
        answers.append(each[left_out[some].argmax(axis=1), np.arange(each.shape[1])])
        spreads.append(each.std(axis=0))
    return OutOfFold(np.concatenate(answers), np.concatenate(spreads), rows.targets)


def _finite(inputs: Encoded) -> Encoded:
    """Return the same inputs. Raises DataError if one of them is not finite. Copies nothing: there may be gigabytes."""
    if not np.isfinite([inputs.min(initial=0.0), inputs.max(initial=0.0)]).all():
        raise DataError(
            f"data: a value of a training row is too large for a network of {inputs.dtype}; set scaling.method, or "
            "network.dtype: float64"
        )
    return inputs


def sample_weights(spec: PatternSpec, labels: Labels | None, rows: Rows) -> Encoded | None:
    """Return how much each row counts in the loss, (n_rows,) of the network's dtype; None: all alike.

    The product of its own weight and that of its label. Raises as `_label_weights` does.
    """
    of_rows, of_labels = _weights(rows, spec), _label_weights(spec, labels, rows)
    if of_rows is None or of_labels is None:
        return of_labels if of_rows is None else of_rows
    weighted: Encoded = of_rows * of_labels
    return weighted


def _weights(rows: Rows, spec: PatternSpec) -> Encoded | None:
    """Return the rows' own weights, 1 in the mean of these rows, so that steps are as large as without weights."""
    if rows.weights is None:
        return None
    weights: Encoded = (rows.weights / rows.weights.mean()).astype(spec.network.dtype)
    return weights


def _label_weights(spec: PatternSpec, labels: Labels | None, rows: Rows) -> Encoded | None:
    """Return the weight of each row's label, (n_rows,) of the network's dtype; None: all alike.

    `balanced` is scikit-learn's formula, n_rows / (n_labels * rows of the label).
    Raises DataError where the target is numbers, or a weight is for a label that does not occur.
    """
    wanted = spec.fit.class_weights
    if wanted is None:
        return None
    if labels is None:
        raise DataError("fit.class_weights: are for labels, and the target is numbers; leave them out")
    numbers = rows.targets[:, 0].astype(int)
    if wanted == "balanced":
        counts = np.bincount(numbers, minlength=len(labels.names))
        weights = len(numbers) / (len(labels.names) * np.maximum(counts, 1))
    else:
        unknown = sorted(wanted.keys() - set(labels.names))
        if unknown:
            raise DataError(
                f"fit.class_weights: {len(unknown)} label(s) named there do not occur in the target; "
                f"there are {shortened(map(shortened_name, labels.names), 20)}"
            )
        weights = np.array([wanted.get(name, 1.0) for name in labels.names])
    weighted: Encoded = weights[numbers].astype(spec.network.dtype)
    return weighted
