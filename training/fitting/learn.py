"""One fit: rows -> encoders from TRAIN rows -> Keras model -> the predictor that will serve, and its history."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Encoded
from models_store.bundle import Predictor
from models_store.encoding.outputs import Decoder, OutputDecoder
from models_store.encoding.rows import Encoder
from models_store.networks.architecture import Architecture, Device, Network
from models_store.networks.keras_network import build, device_name, on_device
from models_store.out_of_fold import OutOfFold
from models_store.wording import shortened, shortened_name
from training.cluster import Cluster
from training.data.dataset import DataError, Dataset, Labels, Rows
from training.data.splits import left_out
from training.fitting import heavy_tails, logarithms
from training.fitting.calibration import temperature
from training.fitting.chosen import chosen
from training.fitting.encoders import encoders, training_inputs
from training.fitting.fit import AS_THE_RECIPE_SAYS, Diverged, Examples, Extent, Objective, fit, is_calibrated
from training.fitting.keras_parts import apart, architecture_of, loss_name, measure_of, unit_of, with_dropout
from training.fitting.members import LeftOut
from training.fitting.outputs import Members
from training.fitting.program import Programs
from training.fitting.progress import History, Progress, Quiet
from training.recipe.spec import PatternSpec

NOT_FINITE = "a weight of the network is not finite after the fit; lower fit.optimizer.learning_rate"


@dataclass(frozen=True, eq=False)
class Runtime:
    """A device, a listener, and compiled programs: all that the fits of one training share."""

    device: Device
    progress: Progress
    programs: Programs
    cluster: Cluster | None = None
    """Fits the folds of a cross-validation; None: they are fitted here."""
    cores: int = 1
    """Cores that fits may take."""

    @property
    def has_core_beside(self) -> bool:
        """True if a second fit at the same time slows the first one down by little."""
        return self.cores > 1 and device_name(self.device) == "/CPU:0"


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
        inputs = _finite(training_inputs(spec, encoder, data))
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
    choice = Choice.of(spec, data)
    found = []
    for recipe in choice.recipes:
        # Encoded before the model is built, so that rows too many or too large are refused early.
        prepared = Prepared.of(recipe, data)
        if choice.way is None:
            runtime.progress.begins(prepared.spec, prepared.architecture.members, prepared.train.inputs.nbytes)
        fitted = fitted_alone(prepared, replace(runtime, progress=choice.told(recipe, runtime)), extent)
        found.append(answering(prepared, data, fitted, Members.compiled))
    return choice.kept(found)


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


@dataclass(frozen=True, eq=False)
class Choice:
    """The recipes that are fitted to some rows, one of which is kept: the usual one, and before it another way."""

    spec: PatternSpec
    data: Dataset
    way: Way | None
    """None: there is nothing to choose."""

    @classmethod
    def of(cls, spec: PatternSpec, data: Dataset) -> Self:
        if spec.scaling.targets != "auto":
            return cls(spec, data, None)
        return cls(spec.overridden(USUAL), data, _way_of(spec, data))

    @property
    def recipes(self) -> list[PatternSpec]:
        """The usual one last."""
        return [self.spec] if self.way is None else [self.spec.overridden(self.way.fields), self.spec]

    def told(self, recipe: PatternSpec, runtime: Runtime) -> Progress:
        """Return who is told of the fit of one of `recipes`: epochs of another way are nobody's."""
        return runtime.progress if recipe is self.spec else Quiet(runtime.progress)

    def kept(self, fits: Sequence[Learned | Diverged]) -> Learned:
        """Return the better fit of those of `recipes`; one that diverged is none. Raises Diverged if all are so."""
        *others, usual = fits
        found = [other for other in others if isinstance(other, Learned)]
        if isinstance(usual, Diverged):
            if not found:
                raise usual
            return found[0]
        if self.way is None or not found:
            return usual
        rows = self.data.validation or self.data.train
        is_better = self.way.is_better(_judged(found[0], self.data), _judged(usual, self.data), rows)
        return found[0] if is_better else usual


@dataclass(frozen=True, eq=False)
class Fitted:
    """A network after its fit."""

    members: Members
    history: History
    seconds: float


def fitted_alone(prepared: Prepared, runtime: Runtime, extent: Extent = AS_THE_RECIPE_SAYS) -> Fitted | Diverged:
    """Fit a network by itself. Raises DeviceUnavailable, and what `runtime.progress` raises."""
    spec, device = prepared.spec, device_name(runtime.device)
    runtime.progress.pulse()
    started = time.perf_counter()
    with on_device(device):
        model = build(prepared.architecture, spec.seed)
        try:
            history = fit(
                with_dropout(apart(model), prepared.dropout, spec.seed),
                prepared.train,
                prepared.held_out,
                spec.fit,
                spec.seed,
                runtime.progress,
                prepared.objective,
                runtime.programs,
                extent,
            )
        except Diverged as error:
            return error
    members = Members(prepared.architecture, model.get_weights(), device)
    return Fitted(members, history, time.perf_counter() - started)


def answering(
    prepared: Prepared, data: Dataset, fitted: Fitted | Diverged, network_of: Callable[[Members], Network]
) -> Learned | Diverged:
    """Return the predictor of a fitted network, calibrated by the rows that its members left out, or were held out.

    `network_of` makes the network that answers further rows.
    """
    if isinstance(fitted, Diverged):
        return fitted
    train, members = prepared.train, fitted.members
    encoder, decoder = prepared.encoding.encoder, prepared.encoding.decoder
    if not all(np.isfinite(weight).all() for weight in members.weights):
        return Diverged(NOT_FINITE)
    degree = _temperature(members, prepared, data)
    if degree is not None:
        members = members.cooled(degree)
    network = network_of(members)
    outputs: Iterable[Encoded] = () if train.left_out is None else members.in_parts(train.inputs)
    if isinstance(decoder, OutputDecoder) and decoder.logarithm is not None:
        # Computed once: they are decoded for the calibration, and with what it found.
        outputs = list(outputs)
        decoder = _calibrated(decoder, encoder, network, outputs, train, data)
    left = None if train.left_out is None else _out_of_fold(outputs, train.left_out, decoder, data.train)
    predictor = Predictor(encoder, network, decoder)
    seconds = round(fitted.seconds, 3)
    return Learned(prepared.spec, predictor, prepared.architecture, fitted.history, seconds, left, degree)


def _temperature(members: Members, prepared: Prepared, data: Dataset) -> float | None:
    """Return the temperature of the answers out of fold; None where the recipe asks for none."""
    train = prepared.train
    if train.left_out is None or not is_calibrated(prepared.spec.fit, train, prepared.objective):
        return None
    answers = prepared.encoding.decoder.decode(members.left_out(train.inputs, train.left_out))
    return temperature(answers, data.train.targets[:, 0].astype(int), train.sample_weights)


def _judged(learned: Learned, data: Dataset) -> Array:
    """Return the answers to rows that were not learned from: those that members left out, or the validation rows."""
    if learned.out_of_fold is not None:
        return learned.out_of_fold.answers
    assert data.validation is not None
    return learned.predictor.answers(data.validation.inputs)


def _calibrated(
    decoder: OutputDecoder,
    encoder: Encoder,
    network: Network,
    outputs: Iterable[Encoded],
    train: Examples,
    data: Dataset,
) -> OutputDecoder:
    """Return the decoder whose answers are means, of rows that were left out, of validation rows, or of all rows.

    `outputs` are those of each member, where they left rows out.
    """
    if train.left_out is not None:
        left = _out_of_fold(outputs, train.left_out, decoder.of_logarithms, data.train)
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


def _out_of_fold(outputs: Iterable[Encoded], left_out: NDArray[np.bool_], decoder: Decoder, rows: Rows) -> OutOfFold:
    """Answer each row by the member that left it out; `outputs` are those of all members, in parts."""
    answers, spreads = [], []
    start = 0
    for some in outputs:
        each = np.stack([decoder.decode(of_member) for of_member in some])
        members = left_out[start : start + each.shape[1]].argmax(axis=1)
        answers.append(each[members, np.arange(each.shape[1])])
        spreads.append(each.std(axis=0))
        start += each.shape[1]
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
