"""Fits of one kind side by side, from their encoded rows to the outputs of each network.

prepared fits -> slots of a compiled program -> chunks of epochs -> curves, and outputs of the weights that are kept
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Encoded
from models_store.networks.keras_network import initial_weights, on_device, tf
from training.fitting.fit import (
    CURVES,
    MOST_EPOCHS_PER_CHUNK,
    MOST_WORK,
    ROWS_PER_CHUNK,
    UNENDING,
    kind_of,
)
from training.fitting.lanes import Beginning, Lanes, LanesShape, Pool
from training.fitting.learn import Prepared
from training.fitting.members import NONE, validating
from training.fitting.program import Programs
from training.fitting.progress import Curves, Weights

# Rows of all lanes in one step of the validation pass, and the fewest of each.
VALIDATION_ROWS, FEWEST_VALIDATION_ROWS = 1 << 16, 64
# Fits side by side, and the numbers of all: more no longer fit a CPU cache, and each step takes the longer.
MOST_FITS, MOST_NUMBERS = 64, 1 << 22
# Weights, gradient, both averages of Adam, and the weights that are kept.
COPIES = 5

RowWeights = Encoded | None
# Outputs of a layer, of all lanes, that are in memory at a time after the fits.
MOST_OUTPUTS = 1 << 22
# Floating-point operations that a fit may spend on inputs that it lacks, because it stands beside a wider one: fewer
# than compiling a program of its own would take the time of.
MOST_WASTE = 2_000_000_000


def groups(fits: Sequence[Prepared], device: str) -> list[list[int]]:
    """Return the places of fits that can go on side by side: alike but for numbers, and no more than are fast so.

    Of their inputs, some may be narrower: folds of a table may know fewer categories, or pieces of a number.
    """
    found: list[tuple[object, list[int]]] = []
    # The widest first, because narrower ones may stand beside it.
    for place in sorted(range(len(fits)), key=lambda place: -fits[place].architecture.n_inputs):
        fit = fits[place]
        alike = _in_common(fit, device)
        for other, group in found:
            widest = fits[group[0]]
            is_near = _waste(fit, widest.architecture.n_inputs) <= MOST_WASTE
            if other == alike and is_near and len(group) < most_fits(widest):
                group.append(place)
                break
        else:
            found.append((alike, [place]))
    return [group for _, group in found]


def _in_common(fit: Prepared, device: str) -> object:
    """Return all that fits side by side have in common, their numbers of epochs and steps included."""
    recipe = fit.spec.fit
    return (
        kind_of(recipe, fit.train, fit.held_out, fit.objective, device),
        replace(fit.architecture, n_inputs=0),
        fit.held_out is not None,
        fit.train.left_out is not None,
        recipe.most_epochs,
        recipe.steps(len(fit.train.inputs)),
    )


def _waste(fit: Prepared, n_inputs: int) -> int:
    """Return the floating-point operations of a whole fit for inputs that are 0, where there are `n_inputs`."""
    missing = n_inputs - fit.architecture.n_inputs
    weights = fit.architecture.members * fit.architecture.layers[0].units * missing
    return 6 * weights * len(fit.train.inputs) * fit.spec.fit.most_epochs


def work_of(fit: Prepared) -> int:
    """Return the floating-point operations of an epoch, about."""
    return 6 * fit.architecture.n_parameters * len(fit.train.inputs)


def most_fits(fit: Prepared) -> int:
    """Return how many fits like this one are to go on side by side: as many as a CPU cache holds the numbers of."""
    units = fit.architecture.n_inputs + sum(layer.units for layer in fit.architecture.layers)
    n_rows = len(fit.train.inputs)
    batch = min(fit.spec.fit.batch_rows(n_rows), n_rows)
    numbers = COPIES * fit.architecture.n_parameters + 2 * batch * units * fit.architecture.members
    return int(np.clip(MOST_NUMBERS // numbers, 1, MOST_FITS))


class SideBySide:
    """Fits of one of the `groups`, each in a slot of a compiled program that is lent to them until `close`."""

    def __init__(
        self,
        fits: Sequence[Prepared],
        device: str,
        programs: Programs,
        *,
        slots: int | None = None,
        may_drop: bool = False,
    ) -> None:
        """`may_drop`: take a program that can drop outputs, as other fits do that are to share it."""
        self._fits = fits
        self._epochs = fits[0].spec.fit.most_epochs
        self._programs = programs
        self._device = device
        rows = RowPool(fits)
        has_dropout = may_drop or any(fit.dropout > 0 for fit in fits)
        slots = slots or 1 << (len(fits) - 1).bit_length()
        shape = rows.shape(device, slots, has_dropout=has_dropout)
        with on_device(device):
            self._pool = rows.tensors(shape)
            self._lanes: Lanes = programs.take(shape, lambda: Lanes(shape))
            self._lanes.begin(_beginning(fits, shape))
        self._orders = [np.random.default_rng(fit.spec.seed) for fit in fits]
        self._done = 0

    @property
    def done(self) -> int:
        """Epochs of those fits that have not stopped."""
        return self._done

    @property
    def have_ended(self) -> NDArray[np.bool_]:
        """True for each fit that has run all of its epochs, or has stopped; (fits,)."""
        return self.have_stopped | (self._done >= self._epochs)

    @property
    def epochs(self) -> NDArray[np.int32]:
        """Epochs of each fit that are complete, (fits,)."""
        return self._lanes.epochs[: len(self._fits)]

    @property
    def best_epochs(self) -> NDArray[np.int32]:
        """The epoch, from 1, of the weights of each fit that are kept, (fits,)."""
        stoppings = [fit.spec.fit.early_stopping for fit in self._fits]
        restores = np.array([stopping is not None and stopping.restore_best for stopping in stoppings])
        return np.where(restores, self._lanes.best_epochs[: len(self._fits)], self.epochs)

    @property
    def have_stopped(self) -> NDArray[np.bool_]:
        """True for each fit that was stopped before its last epoch, or at it, (fits,)."""
        return self._lanes.has_stopped[: len(self._fits)]

    def stop(self, fits: Sequence[int]) -> None:
        """Run no further epochs of some fits."""
        self._lanes.stop(np.isin(np.arange(self._lanes.shape.fits), fits))

    def run(self, most_epochs: int | None) -> dict[int, Curves]:
        """Run some epochs of the fits that have not ended, and return the curves of each, (n_epochs,)."""
        shape, going = self._lanes.shape, np.flatnonzero(~self.have_ended).tolist()
        n_epochs = min(shape.epochs, most_epochs or self._epochs, self._epochs - self._done)
        orders = np.zeros((shape.epochs, shape.fits, shape.rows), np.int32)
        for place in going:
            n_rows = len(self._fits[place].train.inputs)
            for epoch in range(n_epochs):
                orders[epoch, place, :n_rows] = self._orders[place].permutation(n_rows)
        before = self._lanes.epochs
        with on_device(self._device):
            found = self._lanes.run(tf.constant(orders), n_epochs, self._pool).numpy().astype(np.float64)
        self._done += n_epochs
        ran = self._lanes.epochs - before
        curves = CURVES if shape.held_out else CURVES[:2]
        return {place: {name: found[: ran[place], place, CURVES.index(name)] for name in curves} for place in going}

    def weights(self) -> list[Weights]:
        """Return the weights of each fit that are kept, in the order and with the shapes of its network's."""
        members = self._lanes.shape.members
        arrays = [weight.numpy() for weight in self._lanes.kept_weights()]
        found = []
        for place, fit in enumerate(self._fits):
            first, *others = (array[place * members : (place + 1) * members] for array in arrays)
            parts = [first[:, : fit.architecture.n_inputs], *others]
            shapes = fit.architecture.weight_shapes
            found.append([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])
        return found

    def have_finite_weights(self) -> NDArray[np.bool_]:
        """True for each fit whose weights are all finite, (fits,)."""
        each = [
            tf.reduce_all(tf.math.is_finite(weight), range(1, weight.ndim)) for weight in self._lanes.kept_weights()
        ]
        of_lanes = tf.reduce_all(tf.stack(each), 0).numpy().reshape(self._lanes.shape.fits, -1)
        finite: NDArray[np.bool_] = of_lanes.all(axis=1)[: len(self._fits)]
        return finite

    def outputs(self, fits: Sequence[int], inputs: Encoded) -> Encoded:
        """Return the networks' outputs, (fits, n_rows, n_outputs), to `inputs` (n_rows, n_inputs)."""
        members, widest = self._lanes.shape.members, self._lanes.shape.architecture.widest
        lanes = (np.asarray(fits)[:, None] * members + np.arange(members)).ravel()
        size = max(1, MOST_OUTPUTS // (len(fits) * widest))
        found = []
        with on_device(self._device):
            weights = [tf.gather(weight, lanes) for weight in self._lanes.kept_weights()]
            for first in range(0, len(inputs), size):
                some = _widened(inputs[None, first : first + size], self._lanes.shape.architecture.n_inputs)
                each = self._lanes.outputs(weights, tf.constant(some)).numpy()
                found.append(each.reshape(len(fits), members, *each.shape[1:]).mean(axis=1))
        outputs: Encoded = np.concatenate(found, axis=1)
        return outputs

    def close(self) -> None:
        """Give the program back, for later fits of its shape."""
        self._programs.give_back(self._lanes)


class RowPool:
    """The rows of several fits one after another; rows that several fits take are there once."""

    def __init__(self, fits: Sequence[Prepared]) -> None:
        self._fits = fits
        self._parts: list[tuple[Encoded, Encoded, RowWeights, RowWeights]] = []
        self._places: dict[tuple[int, int, bytes, bytes], int] = {}
        self._size = 0
        self._first = [self._of_fit(fit) for fit in fits]

    @property
    def size(self) -> int:
        """Rows, padding included."""
        # Padding would copy large rows once more.
        return self._size if len(self._parts) == 1 else _rounded(self._size)

    @property
    def longest_held_out(self) -> int:
        """The most validation rows of a member."""
        return max(fit.held_out.n_validating if fit.held_out else 0 for fit in self._fits)

    def shape(self, device: str, slots: int, *, has_dropout: bool) -> LanesShape:
        first = self._fits[0]
        kind = kind_of(first.spec.fit, first.train, first.held_out, first.objective, device)
        n_inputs = max(fit.architecture.n_inputs for fit in self._fits)
        longest = _rounded(max(len(fit.train.inputs) for fit in self._fits))
        n_rows = -(-longest // kind.batch) * kind.batch
        held_out = _rounded(self.longest_held_out)
        return LanesShape(
            kind=kind,
            architecture=replace(first.architecture, n_inputs=n_inputs),
            leaves_out=first.train.left_out is not None,
            has_dropout=has_dropout,
            fits=slots,
            epochs=_epochs_per_call(first, n_rows, slots),
            pool=self.size,
            rows=n_rows,
            held_out=held_out,
            block=min(held_out, max(FEWEST_VALIDATION_ROWS, VALIDATION_ROWS // (slots * first.architecture.members))),
        )

    def tensors(self, shape: LanesShape) -> Pool:
        first, n_rows, n_held_out = np.zeros((3, shape.fits), np.int32)
        units = np.ones(shape.fits, np.float32)
        learns = np.zeros((shape.fits, shape.rows, shape.members), bool)
        held_out = np.full((shape.lanes, shape.held_out), NONE, np.int32)
        for place, (fit, (train, validation)) in enumerate(zip(self._fits, self._first, strict=True)):
            first[place], n_rows[place], units[place] = train, len(fit.train.inputs), fit.objective.unit
            if fit.train.left_out is not None:
                learns[place, : n_rows[place]] = ~fit.train.left_out
            if fit.held_out is not None:
                rows = validating(len(fit.held_out.inputs), fit.held_out.left_out, (shape.members,)).T
                n_held_out[place] = np.count_nonzero(rows != NONE)
                lanes = slice(place * shape.members, (place + 1) * shape.members)
                held_out[lanes, : rows.shape[1]] = np.where(rows == NONE, NONE, rows + validation)
        inputs, targets, weights, held_out_weights = zip(*self._parts, strict=True)
        return Pool(
            inputs=self._padded([_widened(part, shape.architecture.n_inputs) for part in inputs]),
            targets=self._padded(targets),
            weights=self._padded(_ones(weights, targets)) if shape.kind.is_weighted else None,
            held_out_weights=self._padded(_ones(held_out_weights, targets))
            if shape.kind.is_held_out_weighted
            else None,
            first=tf.constant(first),
            n_rows=tf.constant(n_rows),
            learns=tf.constant(learns) if shape.leaves_out else None,
            held_out=tf.constant(held_out),
            n_held_out=tf.constant(n_held_out),
            units=tf.constant(units),
        )

    def _of_fit(self, fit: Prepared) -> tuple[int, int]:
        """Return the places of a fit's first training row and of its first validation row."""
        train, held_out = fit.train, fit.held_out
        if held_out is None:
            return self._place(train.inputs, train.targets, train.sample_weights, None), 0
        if held_out.inputs is train.inputs:
            both = self._place(train.inputs, train.targets, train.sample_weights, held_out.sample_weights)
            return both, both
        first = self._place(train.inputs, train.targets, train.sample_weights, None)
        return first, self._place(held_out.inputs, held_out.targets, None, held_out.sample_weights)

    def _place(self, inputs: Encoded, targets: Encoded, weights: RowWeights, held_out_weights: RowWeights) -> int:
        written, held_out_written = (b"" if each is None else each.tobytes() for each in (weights, held_out_weights))
        key = (id(inputs), id(targets), written, held_out_written)
        if key not in self._places:
            self._places[key] = self._size
            self._parts.append((inputs, targets, weights, held_out_weights))
            self._size += len(inputs)
        return self._places[key]

    def _padded(self, parts: Sequence[Encoded]) -> Any:
        missing = self.size - self._size
        padding = [np.zeros((missing, *parts[0].shape[1:]), parts[0].dtype)] if missing else []
        return tf.constant(parts[0] if len(parts) == 1 and not padding else np.concatenate([*parts, *padding]))


def _ones(weights: Sequence[RowWeights], targets: Sequence[Encoded]) -> list[Encoded]:
    """Return 1 for each row that has no weight."""
    return [np.ones(len(y), y.dtype) if w is None else w for w, y in zip(weights, targets, strict=True)]


def _widened(inputs: NDArray[Any], n_inputs: int) -> NDArray[Any]:
    """Return inputs (…, n) with zeros up to (…, n_inputs)."""
    missing = n_inputs - inputs.shape[-1]
    return np.concatenate([inputs, np.zeros((*inputs.shape[:-1], missing), inputs.dtype)], -1) if missing else inputs


def _rounded(n_rows: int) -> int:
    """Return a number of rows rounded up to a coarse step, so that folds of slightly different size share a program."""
    stride = 1 << max(0, n_rows.bit_length() - 4)
    return -(-n_rows // stride) * stride


def _epochs_per_call(fit: Prepared, n_rows: int, slots: int) -> int:
    """Return how many epochs take about a quarter of a second."""
    work = 6 * fit.architecture.n_parameters * n_rows * slots
    most = min(MOST_EPOCHS_PER_CHUNK, ROWS_PER_CHUNK // (n_rows * slots), MOST_WORK // work)
    return max(1, most)


def _beginning(fits: Sequence[Prepared], shape: LanesShape) -> Beginning:
    """Fill the slots with these fits; the first fills those that are left, and has stopped there."""
    slots = [*fits, *[fits[0]] * (shape.fits - len(fits))]
    drawn: dict[tuple[int, int], NDArray[Any]] = {}
    for fit in fits:
        if (fit.spec.seed, fit.architecture.n_inputs) not in drawn:
            first, *others = initial_weights(fit.architecture, fit.spec.seed)
            # Weights of inputs that are 0 in all rows have no gradient, and stay 0.
            widened = _widened(first.swapaxes(1, 2), shape.architecture.n_inputs).swapaxes(1, 2)
            arrays = [weight.reshape(shape.members, -1) for weight in (widened, *others)]
            drawn[fit.spec.seed, fit.architecture.n_inputs] = np.concatenate(arrays, axis=1)
    stoppings = [fit.spec.fit.early_stopping for fit in slots]
    layers = len(shape.architecture.layers) - 1
    return Beginning(
        weights=np.concatenate([drawn[fit.spec.seed, fit.architecture.n_inputs] for fit in slots]),
        optimizers=[fit.spec.fit.optimizer for fit in slots],
        averaged_steps=np.array([fit.spec.fit.averaged_steps(len(fit.train.inputs)) for fit in slots]),
        patience=np.array([stopping.patience if stopping else UNENDING for stopping in stoppings], np.int32),
        restores_best=np.array([stopping.restore_best if stopping else False for stopping in stoppings]),
        dropout=np.array([fit.dropout for fit in slots]),
        seeds=np.array([[(fit.spec.seed + place) % 2**31 for place in range(layers)] for fit in slots], np.int32),
        is_fit=np.arange(shape.fits) < len(fits),
        steps=fits[0].spec.fit.steps(len(fits[0].train.inputs)),
    )
