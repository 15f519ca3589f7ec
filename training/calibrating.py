"""The rows that intervals and sets of labels are calibrated on: rows that no decision has touched.

formula                 fresh rows, drawn for this alone, answered by the network that is served
table, sequence         the test rows, answered by the network that is measured, which has not learned from them
few test rows           all rows, each answered by the member that left it out
"""

from dataclasses import dataclass

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Calibration, Predictor, hardness
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.ranks import exactly
from models_store.calibration.sets import LabelCalibration
from models_store.calibration.widths import FLOOR, Landmarks, Width
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
# the floor of the width is so many times as high, and the spread has less of a say.
FLOOR_OUT_OF_FOLD = 5 * FLOOR
# Of a formula: rows that become landmarks, that the width is learned from, and that it is calibrated on.
LANDMARKS, SHAPING, FRESH = 500, 500, 1000
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
    rows: Answered
    are: CalibrationRows
    landmarks: Landmarks | None = None


def _of_numbers(of: Trained) -> tuple[Calibration, Facts]:
    basis = _basis(of)
    rows, predictor = basis.rows, of.served.predictor
    golden = basis.width(predictor.predict(of.golden), hardness(predictor, basis.landmarks, of.golden))
    scores = rows.errors / (widths := basis.width(rows.answers, rows.hardness))
    calibration = NumberCalibration(scores, basis.width, basis.landmarks, golden)
    by_level = {f"{level:g}": reach for level in LEVELS if (reach := _reach(calibration, level)) is not None}
    mean = {
        output: {level: float(2 * reach[place] * widths[:, place].mean()) for level, reach in by_level.items()}
        for place, output in enumerate(of.data.outputs)
    }
    return calibration, Facts(of=basis.are, rows=len(scores), by=basis.follows, widths=mean if by_level else {})


def _reach(calibration: NumberCalibration, level: float) -> Array | None:
    try:
        return calibration.thresholds(exactly(level))
    except TooFewRows:
        return None


def _basis(of: Trained) -> Basis:
    if isinstance(of.spec.data, FormulaData) and (rows := _fresh(of.spec, of.spec.data)) is not None:
        return _fresh_basis(of, rows)
    found = of.served.out_of_fold
    apart = None if found is None else Answered(found.answers, found.spread, found.targets)
    if apart is not None and len(of.data.test) < ENOUGH:
        some = apart.take(subsample(len(apart.targets), MOST_ROWS, of.spec.seed))
        width = Width.learned(some.answers, some.hardness, some.errors, FLOOR_OUT_OF_FOLD)
        return Basis(width, "spread", some, "rows out of fold")
    predictor = of.measured.predictor
    places = subsample(len(of.data.test), MOST_ROWS, of.spec.seed)
    test = _answered(predictor, None, of.data.test.take(places), of.test_answers[places])
    if apart is None and of.data.validation is not None:
        apart = _answered(predictor, None, of.data.validation)
    if apart is None:
        return Basis(Width.even(len(of.data.outputs)), "nothing", test, "test rows")
    width = Width.learned(apart.answers, apart.hardness, apart.errors)
    return Basis(width, "spread" if of.served.architecture.members > 1 else "size", test, "test rows")


def _fresh(spec: PatternSpec, data: FormulaData) -> Rows | None:
    """Return fresh rows; None where one of them has no target."""
    try:
        return fresh(data, LANDMARKS + SHAPING + FRESH, (spec.seed ^ FRESH_SEED) % 2**32)
    except DataError:
        return None


def _fresh_basis(of: Trained, rows: Rows) -> Basis:
    predictor = of.served.predictor
    landmarks = None
    if of.served.architecture.members == 1 and predictor.encoder.n_inputs <= MOST_INPUTS:
        near = rows.take(slice(LANDMARKS))
        places = predictor.encoder.encode(near.inputs).astype(np.float64)
        landmarks = Landmarks(places, np.abs(near.targets - predictor.predict(near.inputs)))
    shaping = _answered(predictor, landmarks, rows.take(slice(LANDMARKS, LANDMARKS + SHAPING)))
    width = Width.learned(shaping.answers, shaping.hardness, shaping.errors)
    test = _answered(predictor, landmarks, rows.take(slice(LANDMARKS + SHAPING, None)))
    follows: WidthFollows = "landmarks" if landmarks else "spread" if of.served.architecture.members > 1 else "size"
    return Basis(width, follows, test, "fresh rows", landmarks)


def _answered(predictor: Predictor, landmarks: Landmarks | None, rows: Rows, answers: Array | None = None) -> Answered:
    """Return the answers, which may be known; raises NotFinite where there is none."""
    found = predictor.predict(rows.inputs) if answers is None else answers
    return Answered(found, hardness(predictor, landmarks, rows.inputs), rows.targets)


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
