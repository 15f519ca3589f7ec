"""How often intervals and sets of labels hold, and how wide they are, beside MAPIE's around the same network.

small table      200 trainings, each without a fifth of the rows, on which what it serves is measured
large table      a few trainings; rows that none of them learned from are split 200 times into calibration and test rows
formula          one training, and 200 splits of fresh rows
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import environments
from benchmarks.peers import mapie_intervals
from models_store.arrays import Array
from models_store.bundle import Bundle, hardness
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.ranks import exactly
from models_store.calibration.sets import LabelCalibration
from models_store.errors import TooFewRows
from models_store.networks.onnx_network import OnnxNetwork
from models_store.tables.table import Raw
from training.calibrating import ENOUGH
from training.data.dataset import Dataset, fresh
from training.recipe.data import FormulaData
from training.recipe.spec import PatternSpec, shipped

LEVELS = (0.8, 0.9, 0.95)
EXACTLY = [exactly(level) for level in LEVELS]
N_SPLITS = 200
# A table that takes longer to train, in seconds, is trained so often.
LONGEST, FEW = 2.0, 4
FRESH, A_PART = 20_000, 1000
# Splits that MAPIE is asked about.
MOST_CASES = 20
Case = dict[str, Array]


@dataclass
class Tally:
    """What 200 splits say of one output."""

    name: str
    are_labels: bool = False
    held: list[Array] = field(default_factory=list)
    """Shares of test rows, (n_levels,) of each split."""
    parts: list[Array] = field(default_factory=list)
    """Shares of the rows of each third of predicted size, or of each label, (n_levels, n_parts)."""
    sizes: list[Array] = field(default_factory=list)
    """Mean widths, or numbers of labels, (n_levels,)."""
    right: list[float] = field(default_factory=list)
    """Shares of rows whose most probable label is right."""
    cases: list[Case] = field(default_factory=list)

    def add(self, is_held: NDArray[np.bool_], sizes: Array, part_of: NDArray[np.integer[Any]], n_parts: int) -> None:
        """Add a split: True where a row is held, (n_levels, n_rows), and the part of each row."""
        self.held.append(is_held.mean(axis=1))
        self.sizes.append(sizes)
        rows = [is_held[:, part_of == part] for part in range(n_parts)]
        self.parts.append(
            np.stack([some.mean(axis=1) if some.size else np.full(len(LEVELS), np.nan) for some in rows], axis=1)
        )

    def report(self) -> str:
        held, sizes = np.mean(self.held, axis=0), np.mean(self.sizes, axis=0)
        parts = np.nanmean(self.parts, axis=0) - np.array(LEVELS)[:, None]
        worst = parts[np.arange(len(LEVELS)), np.abs(parts).argmax(axis=1)]
        said = [
            f"{level:g}: {share:.1%} held, {'label' if self.are_labels else 'third'} {off * 100:+.1f}, {size:.4g}"
            for level, share, off, size in zip(LEVELS, held, worst, sizes, strict=True)
        ]
        right = f"; right {np.mean(self.right):.1%}" if self.right else ""
        return f"  {self.name}: {len(self.held)} splits; {'; '.join(said)}{right}{_beside_mapie(self)}"


def report(tables: list[tuple[Path, str]]) -> None:
    """Measure each formula of the catalogue and each table, and print a line for each of their outputs."""
    environments.make("mapie", mapie_intervals.REQUIREMENTS)
    print("intervals and sets: level: held, worst third of predicted size or label in points, mean width or size")
    for tally in chain(_of_formulas(), (_of_table(path, target) for path, target in tables)):
        print(tally.report(), flush=True)


# -- formulas ----------------------------------------------------------------------------------------------------------


def _of_formulas() -> Iterator[Tally]:
    for name, spec in shipped().items():
        if spec.data.kind == "table":
            continue
        bundle = _trained(spec.overridden({"split": {"refit": isinstance(spec.data, FormulaData)}}))
        # A sequence cannot be drawn again: its test rows are all that there are.
        rows = fresh(spec.data, FRESH, 1) if isinstance(spec.data, FormulaData) else Dataset.make(spec).test
        pool = Pool.of(bundle, rows.inputs, rows.targets)
        n_rows = min(A_PART, 3 * len(rows) // 4)
        for place, output in enumerate(bundle.outputs):
            tally = Tally(name if len(bundle.outputs) == 1 else f"{name}, {output}")
            for seed in range(N_SPLITS):
                pool.split(tally, place, n_rows, seed)
            yield tally


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows that a network has not learned from, to be split into calibration and test rows again and again."""

    bundle: Bundle
    inputs: Array
    """As the network gets them, float64 (n_rows, n_inputs)."""
    answers: Array
    widths: Array
    targets: Array

    @classmethod
    def of(cls, bundle: Bundle, raw: Raw, targets: Array) -> "Pool":
        assert isinstance(bundle.calibration, NumberCalibration)
        answers = bundle.predict(raw)
        widths = bundle.calibration.width(answers, hardness(bundle.predictor, bundle.calibration.landmarks, raw))
        return cls(bundle, _encoded(bundle, raw), answers, widths, targets)

    def split(self, tally: Tally, place: int, n_rows: int, seed: int) -> None:
        assert isinstance(self.bundle.calibration, NumberCalibration)
        order = np.random.default_rng(seed).permutation(len(self.answers))
        ours, test = order[:n_rows], order[n_rows : n_rows + A_PART]
        answers, widths, targets = (part[:, [place]] for part in (self.answers, self.widths, self.targets))
        found = self.bundle.calibration
        scores = np.abs(targets - answers)[ours] / widths[ours]
        cuts = found.cuts[:, [place]] if n_rows >= ENOUGH * (len(found.cuts) + 1) else found.cuts[:0, [place]]
        calibration = NumberCalibration(scores, found.width, None, scores[:0], answers[ours], cuts)
        ends = [calibration.ends(answers[test], widths[test], level)[:, 0] for level in EXACTLY]
        _add_numbers(tally, ends, answers[test, 0], targets[test, 0])
        if len(tally.cases) < MOST_CASES:
            x = self.inputs
            tally.cases.append(
                _case(x[ours], answers[ours, 0], targets[ours, 0], x[test], answers[test, 0], targets[test, 0])
            )


# -- tables ------------------------------------------------------------------------------------------------------------


def _of_table(path: Path, target: str) -> Tally:
    frame = pl.read_csv(path, infer_schema_length=None)
    frame = frame.filter(pl.col(target).is_not_null())
    tally = Tally(f"{path.name}: {target}")
    began = perf_counter()
    _by_training(tally, frame, target, 0)
    began = perf_counter()
    _by_training(tally, frame, target, 1)
    n_trainings = N_SPLITS if perf_counter() - began < LONGEST else FEW
    for seed in range(2, n_trainings):
        _by_training(tally, frame, target, seed)
    return tally


def _by_training(tally: Tally, frame: pl.DataFrame, target: str, seed: int) -> None:
    """Train without a fifth of the rows, and measure what is served on these."""
    order = np.random.default_rng(seed).permutation(frame.height)
    held_out = frame[order[: frame.height // 5]]
    tables = {"0" * 32: frame[order[frame.height // 5 :]], "1" * 32: held_out}
    spec = PatternSpec.parse(
        {"name": "sure", "seed": seed, "data": {"kind": "table", "dataset": "0" * 32, "target": target}}
    )
    bundle = _trained(spec, tables)
    data = _dataset(spec, tables)
    rows = _dataset(spec.overridden({"data": {"test": "1" * 32}}), tables).test
    answers = bundle.predict(rows.inputs)
    if isinstance(bundle.calibration, LabelCalibration):
        _add_labels(tally, bundle, answers, rows.targets[:, 0].astype(int))
        return
    ends = [bundle.intervals(rows.inputs, answers, level)[:, 0] for level in EXACTLY]
    _add_numbers(tally, ends, answers[:, 0], rows.targets[:, 0])
    if len(tally.cases) < MOST_CASES:
        known, labels = (np.array(part)[:, 0] for part in (bundle.evaluation.predicted, bundle.evaluation.labels))
        if len(known) == len(data.test):
            x, test_x = _encoded(bundle, data.test.inputs), _encoded(bundle, rows.inputs)
            tally.cases.append(_case(x, known, labels, test_x, answers[:, 0], rows.targets[:, 0]))


def _add_labels(tally: Tally, bundle: Bundle, probabilities: Array, labels: NDArray[np.integer[Any]]) -> None:
    tally.are_labels = True
    rows = np.arange(len(labels))
    try:
        sets = [bundle.sets(probabilities, level) for level in EXACTLY]
    except TooFewRows:
        return
    held = np.stack([members[rows, labels] for members in sets])
    tally.add(held, np.array([members.sum(axis=1).mean() for members in sets]), labels, probabilities.shape[1])
    tally.right.append(float((probabilities.argmax(axis=1) == labels).mean()))


# -- both --------------------------------------------------------------------------------------------------------------


def _trained(spec: PatternSpec, tables: dict[str, pl.DataFrame] | None = None) -> Bundle:
    """Train, and load what would be served, as a server does."""
    from training.run import train  # deferred: imports TensorFlow

    bundle = train(spec, read_table=(tables or {}).__getitem__, device="cpu")
    return Bundle.from_files(bundle.to_files(), OnnxNetwork.from_bytes)


def _dataset(spec: PatternSpec, tables: dict[str, pl.DataFrame]) -> Dataset:
    from training.run import dataset_of  # deferred: imports TensorFlow

    return dataset_of(spec, tables.__getitem__)


def _encoded(bundle: Bundle, raw: Raw) -> Array:
    return bundle.predictor.encoder.encode(raw).astype(np.float64)


def _add_numbers(tally: Tally, ends: list[Array], answers: Array, targets: Array) -> None:
    held = np.stack([(each[:, 0] <= targets) & (targets <= each[:, 1]) for each in ends])
    thirds = np.digitize(answers, np.quantile(answers, [1 / 3, 2 / 3]))
    tally.add(held, np.array([(each[:, 1] - each[:, 0]).mean() for each in ends]), thirds, 3)


# -- MAPIE -------------------------------------------------------------------------------------------------------------


def _case(x: Array, answers: Array, y: Array, test_x: Array, test_answers: Array, test_y: Array) -> Case:
    rows = {"x": x, "answers": answers, "y": y, "test_x": test_x, "test_answers": test_answers, "test_y": test_y}
    return {**rows, "levels": np.array(LEVELS)}


def _beside_mapie(tally: Tally) -> str:
    """Ask MAPIE about the first splits, and compare the mean widths on these."""
    if not tally.cases:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        for place, case in enumerate(tally.cases):
            np.savez(Path(folder, f"{place:03}.npz"), allow_pickle=False, **case)
        # Without its folder on the path, where other files are named as packages are.
        command = [str(environments.python("mapie")), "-P", mapie_intervals.__file__, folder]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours = np.mean(tally.sizes[: len(tally.cases)], axis=0)
    theirs = {score: np.mean(cases, axis=0) for score, cases in found.items() if len(cases) == len(tally.cases)}
    said = []
    for place in range(len(LEVELS)):
        width, held, score = min((width[place], held[place], score) for score, (held, width) in theirs.items())
        said.append(f"{ours[place] / width:.2f} of {score} ({held:.1%} held)" if width else f"{score} has none")
    return f"; widths {', '.join(said)}"
