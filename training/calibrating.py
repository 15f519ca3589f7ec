"""The rows that intervals and sets of labels are calibrated on: rows that no decision has touched.

formula                 fresh rows, drawn for this alone, answered by the network that is served
table, sequence         the test rows, answered by the network that is measured, which has not learned from them
few test rows           all rows, each answered by the member that left it out
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Calibration, Predictor, hardness
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.ranks import exactly
from models_store.calibration.sets import LabelCalibration
from models_store.calibration.widths import Landmarks, Width
from models_store.card import Calibration as Facts
from models_store.card import CalibrationRows, WidthFollows
from models_store.errors import TooFewRows
from models_store.tables.table import Raw
from training.data.dataset import DataError, Dataset, Rows, fresh
from training.data.subsample import Indices, subsample
from training.fitting.learn import Learned
from training.recipe.data import FormulaData
from training.recipe.spec import PatternSpec

# Test rows are enough from here on, of a classification those of each label: at 0.95, one row more or less is a level
# of 0.926 to 0.975. With fewer, rows out of fold are more exact, though one member errs more than all together.
ENOUGH = 39
# The spread of members is smaller at a row that all but one have learned from. So where calibration rows are of these,
# the floor of the width is high, and the spread has less of a say.
FLOORS_OUT_OF_FOLD = (4.0, 16.0)
# Rows that a width is learned from, half of them landmarks where there are no members; and, of a formula, rows that it
# is calibrated on.
SHAPING, FRESH = 1000, 1000
FEWEST_SHAPING = 60
# Of the recipe's seed, so that the rows are others than those that are learned from.
FRESH_SEED = 0x5EED
# Network inputs; with more, distances mean little.
MOST_INPUTS = 64
MOST_ROWS = 20_000
LEVELS = (0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class Trained:
    """A training as far as its calibration is concerned."""

    spec: PatternSpec
    data: Dataset
    measured: Learned
    served: Learned
    test_answers: Array
    """Of the measured network, float64 (n_rows, n_outputs), or probabilities (n_rows, n_labels)."""
    golden: Raw


@dataclass(frozen=True, eq=False)
class Answered:
    """Rows with their answers and targets, float64 (n_rows, n_outputs), and how hard they are."""

    answers: Array
    hardness: Array
    targets: Array

    @property
    def errors(self) -> Array:
        return np.abs(self.targets - self.answers)

    def take(self, places: Indices) -> "Answered":
        return Answered(self.answers[places], self.hardness[places], self.targets[places])


def calibrated(of: Trained) -> tuple[Calibration, Facts]:
    """Return the calibration of the network that is served, and what the card says of it."""
    return _of_numbers(of) if of.data.labels is None else _of_labels(of, of.data.labels.names)


# -- numbers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Basis:
    """What an interval stands on: how its width is found, and the rows that say how many widths it takes."""

    width: Width
    follows: WidthFollows
    cuts: Array
    """Sizes of answers between thirds of the rows that the width was learned from, float64 (2, n_outputs), or none."""
    rows: Answered
    are: CalibrationRows
    landmarks: Landmarks | None = None


def _of_numbers(of: Trained) -> tuple[Calibration, Facts]:
    basis = _basis(of)
    rows, predictor = basis.rows, of.served.predictor
    golden = basis.width(predictor.predict(of.golden), hardness(predictor, basis.landmarks, of.golden))
    widths = basis.width(rows.answers, rows.hardness)
    cuts = basis.cuts if len(widths) >= ENOUGH * (len(basis.cuts) + 1) else basis.cuts[:0]
    calibration = NumberCalibration(rows.errors / widths, basis.width, basis.landmarks, golden, rows.answers, cuts)
    mean: dict[str, dict[str, float]] = {output: {} for output in of.data.outputs}
    for level in LEVELS:
        with suppress(TooFewRows):
            ends = calibration.ends(rows.answers, widths, exactly(level))
            for output, size in zip(mean, (ends[:, :, 1] - ends[:, :, 0]).mean(axis=0).tolist(), strict=True):
                mean[output][f"{level:g}"] = size
    facts = Facts(of=basis.are, rows=len(widths), by=basis.follows, widths=mean if any(mean.values()) else {})
    return calibration, facts


def _basis(of: Trained) -> Basis:
    if isinstance(of.spec.data, FormulaData) and (rows := _fresh(of.spec, of.spec.data)) is not None:
        shaping, fresh_rows = rows.take(slice(SHAPING)), rows.take(slice(SHAPING, None))
        return _learned(of, of.served.predictor, shaping, fresh_rows, "fresh rows")
    found, test = of.served.out_of_fold, of.data.test.take(subsample(len(of.data.test), MOST_ROWS, of.spec.seed))
    if found is None:
        known = of.data.train if of.data.validation is None else of.data.validation
        shaping = known.take(subsample(len(known), SHAPING, of.spec.seed))
        return _learned(of, of.measured.predictor, shaping, test, "test rows")
    apart = Answered(found.answers, found.spread, found.targets)
    if len(test) < ENOUGH:
        apart = apart.take(subsample(len(apart.targets), MOST_ROWS, of.spec.seed))
        width = Width.chosen(apart.answers, apart.hardness, apart.errors, FLOORS_OUT_OF_FOLD)
        return Basis(width, "spread", _cuts(apart.answers), apart, "rows out of fold")
    width = Width.chosen(apart.answers, apart.hardness, apart.errors)
    measured = of.measured.predictor
    asked = _answered(measured, measured.spread(test.inputs), test)
    return Basis(width, "spread", _cuts(apart.answers), asked, "test rows")


def _fresh(spec: PatternSpec, data: FormulaData) -> Rows | None:
    """Return fresh rows; None where one of them has no target."""
    try:
        return fresh(data, SHAPING + FRESH, (spec.seed ^ FRESH_SEED) % 2**32)
    except DataError:
        return None


def _learned(of: Trained, predictor: Predictor, shaping: Rows, test: Rows, are: CalibrationRows) -> Basis:
    """Return a basis whose width is learned from `shaping`; half of these are landmarks where there are no members."""
    landmarks = None
    has_members = of.served.architecture.members > 1
    # Questions are encoded for the network that is served, whose inputs may be others: it knows more rows.
    encoder = of.served.predictor.encoder
    if not has_members and encoder.n_inputs <= MOST_INPUTS and len(shaping) >= FEWEST_SHAPING:
        order = np.random.default_rng(of.spec.seed).permutation(len(shaping))
        near, shaping = shaping.take(order[::2]), shaping.take(order[1::2])
        places = encoder.encode(near.inputs).astype(np.float64)
        landmarks = Landmarks(places, np.abs(near.targets - predictor.predict(near.inputs)))
    among = predictor if landmarks is None else of.served.predictor
    known = _answered(predictor, hardness(among, landmarks, shaping.inputs), shaping)
    width = Width.chosen(known.answers, known.hardness, known.errors)
    follows: WidthFollows = "landmarks" if landmarks else "spread" if has_members else "size"
    asked = _answered(predictor, hardness(among, landmarks, test.inputs), test)
    return Basis(width, follows, _cuts(known.answers), asked, are, landmarks)


def _cuts(answers: Array) -> Array:
    cuts: Array = np.quantile(answers, (1 / 3, 2 / 3), axis=0)
    return cuts


def _answered(predictor: Predictor, hard: Array, rows: Rows) -> Answered:
    """Return the answers to rows, float64 `hard` (n_rows, n_outputs). Raises NotFinite where there is none."""
    return Answered(predictor.predict(rows.inputs), hard, rows.targets)


# -- labels ------------------------------------------------------------------------------------------------------------


def _of_labels(of: Trained, names: tuple[str, ...]) -> tuple[Calibration, Facts]:
    numbers = of.data.test.targets[:, 0].astype(int)
    found = of.served.out_of_fold
    probabilities = of.test_answers
    are: CalibrationRows = "test rows"
    if found is not None and np.bincount(numbers, minlength=len(names)).min() < ENOUGH:
        probabilities, numbers, are = found.answers, found.targets[:, 0].astype(int), "rows out of fold"
    some = subsample(len(numbers), MOST_ROWS, of.spec.seed)
    probabilities, numbers = probabilities[some], numbers[some]
    calibration = LabelCalibration(probabilities[np.arange(len(numbers)), numbers], numbers, len(names))
    counts = np.bincount(numbers, minlength=len(names)).tolist()
    sizes = {f"{level:g}": size for level in LEVELS if (size := _size(calibration, probabilities, level)) is not None}
    facts = Facts(of=are, rows=len(numbers), rows_of_label=dict(zip(names, counts, strict=True)), sizes=sizes)
    return calibration, facts


def _size(calibration: LabelCalibration, probabilities: Array, level: float) -> float | None:
    try:
        return float(calibration.sets(probabilities, exactly(level)).sum(axis=1).mean())
    except TooFewRows:
        return None
