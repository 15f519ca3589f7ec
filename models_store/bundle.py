"""One trained pattern: network, encoders, recipe and card together. Nothing predicts without all of them.

raw rows -> InputEncoder -> Network -> OutputDecoder -> raw answers
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat, TypeAdapter

from models_store.arrays import Array, Dtype
from models_store.bundle_files import SavedObject, content_of, damage_at
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.sets import LabelCalibration
from models_store.calibration.widths import Landmarks
from models_store.card import Card
from models_store.encoding.outputs import Decoder, LabelDecoder, OutputDecoder, output_decoder_from
from models_store.encoding.rows import Encoder, TableEncoder, input_encoder_from
from models_store.errors import TOO_LARGE, BundleDamaged, NoCalibration, NotFinite
from models_store.networks.architecture import Architecture, LoadNetwork, Network
from models_store.out_of_fold import OutOfFold
from models_store.profiles.counting import Counting
from models_store.profiles.profile import Profile
from models_store.region.region import Region
from models_store.tables.table import Kind, Raw, Table, Values, are_missing, column_of, take, to_json
from models_store.wording import shortened_name

FORMAT = 1
DESCRIPTION, NETWORK, GOLDEN = "bundle.json", "network.keras", "golden.json"
HISTORY, EVALUATION = "history.json", "evaluation.json"
OUT_OF_FOLD, CALIBRATION, PROFILE, REGION = "out_of_fold.npz", "calibration.npz", "profile.json", "region.npz"
FILES = (DESCRIPTION, NETWORK, GOLDEN, HISTORY, EVALUATION, OUT_OF_FOLD, CALIBRATION, PROFILE, REGION)

# Golden rows may differ this much, in units of the output scale and relatively: between a CPU and a GPU float32
# sums are ordered differently, and this is ten times what that was seen to change.
GOLDEN_TOLERANCE = 1e-4
Calibration = NumberCalibration | LabelCalibration
# Network inputs that are held in memory at a time: a text column makes thousands of one value.
MOST_ENCODED = 1 << 25


@dataclass(frozen=True)
class Evaluation:
    """Targets and predictions of test rows, which plots are drawn from; row by row, a number for each output.

    A regression has both in raw units. A classification has the probability of each label in `predicted`, and the
    number of the right one in `labels`. What follows is of the same rows, and empty where there is none of it, and in
    earlier releases.
    """

    predicted: list[list[FiniteFloat]]
    labels: list[list[FiniteFloat]]
    baselines: dict[str, list[list[FiniteFloat]]] = field(default_factory=dict)
    """The answers of the models on the card that learn without a network, as those of the network are."""
    spread: list[list[FiniteFloat]] = field(default_factory=list)
    """The standard deviation of the answers of the network's members."""
    weights: list[FiniteFloat] = field(default_factory=list)
    """How much each row counts; none: all alike."""
    groups: list[int] = field(default_factory=list)
    """The number of the group of each row, where rows were split by group."""

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value or name in ("predicted", "labels")}


HISTORIES = TypeAdapter(dict[str, list[FiniteFloat]])
EVALUATIONS = TypeAdapter(Evaluation)


@dataclass(frozen=True)
class Description:
    """The parts of a version that are read without its network."""

    recipe: dict[str, Any]
    card: Card
    history: dict[str, list[float]]
    evaluation: Evaluation

    @classmethod
    def from_files(cls, files: dict[str, bytes]) -> Self:
        """Raises BundleDamaged with the file and the field that do not hold what they should."""
        return cls.of(SavedObject.of(files, DESCRIPTION), files)

    @classmethod
    def of(cls, saved: SavedObject, files: dict[str, bytes]) -> Self:
        recipe, card = saved.read("recipe", dict), saved.read("card", Card.model_validate)
        with damage_at(HISTORY):
            history = HISTORIES.validate_json(content_of(files, HISTORY))
        with damage_at(EVALUATION):
            evaluation = EVALUATIONS.validate_json(content_of(files, EVALUATION))
        return cls(recipe, card, history, evaluation)


@dataclass(frozen=True, eq=False)
class Predictor:
    """All that lies between a raw row and its answer: the one path that all predictions take."""

    encoder: Encoder
    network: Network
    decoder: Decoder

    def predict(self, raw: Raw) -> Array:
        """Raw rows -> float64 (n_rows, n_answers): numbers in raw units, or probabilities.

        Raises NotFinite, with the row, where a value is too large for the network or an answer is not finite.
        """
        return all_finite(self.answers(raw))

    def answers(self, raw: Raw) -> Array:
        """Like `predict`, but a row that cannot be answered is NaN, so that it spoils no other request's rows."""
        return self._answers(raw) if len(raw) <= self._block else self._in_parts(self._answers, raw)

    def spread(self, raw: Raw) -> Array:
        """Return the standard deviation of the members' answers, float64 (n_rows, n_answers); 0 of a network of one."""
        return self._in_parts(self._spread, raw)

    def _in_parts(self, call: Callable[[Raw], Array], raw: Raw) -> Array:
        starts = range(0, len(raw), self._block)
        return np.concatenate([call(take(raw, slice(start, start + self._block))) for start in starts])

    @cached_property
    def _block(self) -> int:
        """Rows whose network inputs are held in memory at a time."""
        return max(1, MOST_ENCODED // self.encoder.n_inputs)

    def _answers(self, raw: Raw) -> Array:
        encoded = self.encoder.encode(raw)
        with np.errstate(over="ignore", invalid="ignore"):
            answered = self.decoder.decode(self.network(encoded))
        # A network can make a finite number of an infinite input; that number would mean nothing.
        answered[~np.isfinite(encoded).all(axis=1)] = np.nan
        return answered

    def _spread(self, raw: Raw) -> Array:
        each = self.network.each(self.encoder.encode(raw))
        spread: Array = np.stack([self.decoder.decode(outputs) for outputs in each]).std(axis=0)
        return spread


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained pattern. The store gives it a version number when it publishes it."""

    pattern: str
    recipe: dict[str, Any]
    architecture: Architecture
    predictor: Predictor
    card: Card
    history: dict[str, list[float]]
    evaluation: Evaluation
    golden_inputs: Raw
    out_of_fold: OutOfFold | None = None
    """Answers to rows by the member that left them out; None of a network of one, and of earlier releases."""
    calibration: Calibration | None = None
    """What turns answers into intervals or sets; None of earlier releases."""
    profile: Profile | None = None
    """Histograms of the training rows, which requests are held against; None of earlier releases."""
    region: Region | None = None
    """Where training rows were; None where they were too few to tell, and of earlier releases."""

    @property
    def description(self) -> Description:
        return Description(self.recipe, self.card, self.history, self.evaluation)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.predictor.encoder.columns

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.predictor.decoder.columns

    @property
    def beside(self) -> tuple[str, ...]:
        """The columns that the data had beside the inputs: the targets, and those that training left out."""
        return (*self.outputs, *self.card.left_out)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each input column, in order."""
        return self.predictor.encoder.kinds

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels that a classification tells apart; None for a regression."""
        decoder = self.predictor.decoder
        return decoder.labels if isinstance(decoder, LabelDecoder) else None

    @property
    def label_values(self) -> NDArray[Any]:
        """The labels as the data had them, (n_labels,); none of a regression."""
        decoder = self.predictor.decoder
        return decoder.values if isinstance(decoder, LabelDecoder) else np.empty(0)

    def predict(self, raw: Raw) -> Array:
        """Raw rows (n_rows, n_columns) -> float64 (n_rows, n_answers). Raises NotFinite, with the row."""
        return self.predictor.predict(raw)

    def named(self, answers: Array) -> dict[str, NDArray[Any]]:
        """Answers (n_rows, n_answers) -> values as the data had them, (n_rows,) for each output: numbers, or labels."""
        return self.predictor.decoder.named(answers)

    def check_level(self, level: Fraction, *, jointly: bool = False) -> None:
        """Raise NoCalibration or TooFewRows where no interval or set of this level can be given."""
        match self.calibration:
            case NumberCalibration():
                self.calibration.thresholds(level, jointly=jointly)
            case LabelCalibration():
                self.calibration.check(level)
            case None:
                raise NoCalibration(self.pattern)

    def intervals(self, raw: Raw, answers: Array, level: Fraction, *, jointly: bool = False) -> Array:
        """Return lower and upper ends around the answers to raw rows, float64 (n_rows, n_outputs, 2), in raw units.

        Raises NoCalibration, TooFewRows, NotFinite with the row.
        """
        if not isinstance(self.calibration, NumberCalibration):
            raise NoCalibration(self.pattern)
        ends = self.calibration.ends(answers, self._widths(self.calibration, raw, answers), level, jointly=jointly)
        decoder = self.predictor.decoder
        if isinstance(decoder, OutputDecoder) and decoder.logarithm is not None:
            ends = np.maximum(ends, 0.0)  # as its answers are: no number is below 0
        return all_finite(ends.reshape(len(ends), -1)).reshape(ends.shape)

    def sets(self, answers: Array, level: Fraction) -> NDArray[np.bool_]:
        """Return which labels are in the set of each row, (n_rows, n_labels), of their probabilities in that shape.

        Raises NoCalibration, TooFewRows.
        """
        if not isinstance(self.calibration, LabelCalibration):
            raise NoCalibration(self.pattern)
        return self.calibration.sets(answers, level)

    def _widths(self, calibration: NumberCalibration, raw: Raw, answers: Array) -> Array:
        return calibration.width(answers, hardness(self.predictor, calibration.landmarks, raw))

    @property
    def counting(self) -> Counting | None:
        """What counts rows in the histograms of the training rows; None where there are none."""
        if self.profile is None:
            return None
        return self.profile.counting(self.predictor.encoder, self.predictor.decoder)

    def sample(self) -> dict[str, Any]:
        """A body for `/predict` that works as it is: two rows from inside the training range."""
        rows = to_json(take(self.golden_inputs, slice(2)), self.kinds)
        return {"inputs": [dict(zip(self.inputs, row, strict=True)) for row in rows]}

    def outside(self, raw: Raw) -> list[dict[str, Any]]:
        """The rows outside what the training rows held, and the columns in which they are.

        Where the region of the training rows is known, rows are outside as well if they are inside in each column, but
        where no training row was: no column is named then, and `joint` is True. A row's `score`, from 0 to 1 and above
        0.5 there, says how far it is, and `as_far` the share of training rows that were as far from all others.
        """
        beyond = self._beyond(raw)
        if self.region is None:
            return _named(self.inputs, beyond)
        far = self.region.far(raw)
        rows = np.flatnonzero(beyond.any(axis=1) | (far > 1))
        named = _columns_of(self.inputs, beyond, rows)
        scores = zip(far[rows].tolist(), self.region.share_as_far(far[rows]).tolist(), strict=True)
        return [
            row
            | ({} if row["columns"] else {"joint": True})
            | {"score": round(1 - 1 / (1 + distance), 4), "as_far": round(share, 4)}
            for row, (distance, share) in zip(named, scores, strict=True)
        ]

    def _beyond(self, raw: Raw) -> NDArray[np.bool_]:
        """True (n_rows, n_columns) for values outside what the training rows held."""
        if isinstance(raw, Table):
            return self._are_unknown(raw, self.inputs)
        lowest = np.array([column.minimum for column in self.card.inputs])
        highest = np.array([column.maximum for column in self.card.inputs])
        beyond: NDArray[np.bool_] = (raw < lowest) | (raw > highest)
        return beyond

    def unseen(self, raw: Raw) -> list[dict[str, Any]]:
        """Like `outside`, for categories alone: the network knows nothing of one that no training row had."""
        if not isinstance(raw, Table):
            return []
        categories = tuple(name for name, kind in self.kinds.items() if kind == "category")
        return _named(categories, self._are_unknown(raw, categories)) if categories else []

    def filled(self, raw: Raw) -> list[dict[str, Any]]:
        """The rows with a missing value that something stands in for, and the columns of these values.

        Where training rows had missing values, one is a value like others, and is not named.
        """
        encoder = self.predictor.encoder
        if not (isinstance(raw, Table) and isinstance(encoder, TableEncoder) and encoder.fills):
            return []
        return _named((*encoder.fills,), np.stack([are_missing(raw.columns[name]) for name in encoder.fills], axis=1))

    def _are_unknown(self, table: Table, names: tuple[str, ...]) -> NDArray[np.bool_]:
        assert isinstance(self.predictor.encoder, TableEncoder)
        encoders = self.predictor.encoder.encoders
        return np.stack([encoders[name].unknown(table.columns[name]) for name in names], axis=1)

    def to_files(self) -> dict[str, bytes]:
        """Return the content of each file, by name. Raises NotFinite if a golden row has no answer."""
        golden = {"inputs": _saved(self.golden_inputs), "outputs": self.predict(self.golden_inputs).tolist()}
        description = {
            "format": FORMAT,
            "pattern": self.pattern,
            "recipe": self.recipe,
            "encoder": self.predictor.encoder.to_dict(),
            "architecture": self.architecture.to_dict(),
            "decoder": self.predictor.decoder.to_dict(),
            "card": self.card.model_dump(mode="json"),
        }
        files = {
            DESCRIPTION: _json(description),
            NETWORK: self.predictor.network.to_bytes(),
            HISTORY: _json(self.history),
            EVALUATION: _json(self.evaluation.to_json()),
            GOLDEN: _json(golden),
        }
        beside: dict[str, OutOfFold | Calibration | Profile | Region | None]
        beside = {OUT_OF_FOLD: self.out_of_fold, CALIBRATION: self.calibration, PROFILE: self.profile}
        beside[REGION] = self.region
        return files | {name: part.to_bytes() for name, part in beside.items() if part is not None}

    @classmethod
    def from_files(cls, files: dict[str, bytes], load_network: LoadNetwork) -> Self:
        """Read and check everything, the golden rows last. Raises BundleDamaged with the file and field at fault."""
        saved = SavedObject.of(files, DESCRIPTION)
        saved.read("format", _check_format)
        described = Description.of(saved, files)
        architecture = saved.read("architecture", Architecture.from_dict)
        encoder = saved.read("encoder", input_encoder_from)
        decoder = saved.read("decoder", output_decoder_from)
        for part in ("architecture", "encoder", "decoder"):
            saved.read(part, _check_dtype)
        with damage_at(DESCRIPTION, "architecture"):
            _check_widths(architecture, encoder, decoder)
        with damage_at(NETWORK):
            network = load_network(content_of(files, NETWORK), architecture)
        golden = SavedObject.of(files, GOLDEN)
        with damage_at(OUT_OF_FOLD):
            out_of_fold = OutOfFold.from_bytes(files[OUT_OF_FOLD]) if OUT_OF_FOLD in files else None
        with damage_at(CALIBRATION):
            calibration = _calibration(files[CALIBRATION], encoder, decoder) if CALIBRATION in files else None
        with damage_at(PROFILE):
            profile = Profile.from_bytes(files[PROFILE]) if PROFILE in files else None
            _check_profile(profile, encoder, decoder)
        with damage_at(REGION):
            region = Region.from_bytes(files[REGION], encoder) if REGION in files else None
        bundle = cls(
            pattern=saved.read("pattern", _text),
            recipe=described.recipe,
            architecture=architecture,
            predictor=Predictor(encoder, network, decoder),
            card=described.card,
            history=described.history,
            evaluation=described.evaluation,
            golden_inputs=golden.read("inputs", partial(_restored, encoder=encoder)),
            out_of_fold=out_of_fold,
            calibration=calibration,
            profile=profile,
            region=region,
        )
        expected = golden.read("outputs", _rows_of_numbers)
        with damage_at(GOLDEN):
            bundle.check_golden(expected)
        with damage_at(CALIBRATION):
            bundle.check_golden_widths(expected)
        return bundle

    def check_golden(self, expected: Array) -> None:
        """Check that the network, on the device that will serve, answers as it did when it was published.

        `expected` float64 (n_rows, n_answers). Raises BundleDamaged.
        """
        answers = self.predictor.answers(self.golden_inputs)
        if answers.shape != expected.shape:
            raise BundleDamaged(f"outputs of shape {expected.shape}, but the inputs make {answers.shape}")
        room = GOLDEN_TOLERANCE * self.predictor.decoder.room(expected)
        if not np.all(np.abs(answers - expected) <= room):
            raise BundleDamaged("the network no longer answers its golden rows as it did when it was published")

    def check_golden_widths(self, answers: Array) -> None:
        """Check that intervals of the golden rows are as wide as when they were published. Raises BundleDamaged.

        `answers` are theirs, float64 (n_rows, n_outputs).
        """
        if not isinstance(self.calibration, NumberCalibration):
            return
        expected = self.calibration.golden
        widths = self._widths(self.calibration, self.golden_inputs, answers)
        if widths.shape != expected.shape:
            raise BundleDamaged(f"widths of shape {expected.shape}, but the golden rows make {widths.shape}")
        room = GOLDEN_TOLERANCE * (
            expected + self.predictor.decoder.room(answers) * self.calibration.width.factors.max()
        )
        if not np.all(np.abs(widths - expected) <= room):
            raise BundleDamaged("intervals of the golden rows are no longer as wide as when they were published")


def hardness(predictor: Predictor, landmarks: Landmarks | None, raw: Raw) -> Array:
    """Return how hard rows are, float64 (n_rows, n_outputs): the errors near them, or the spread of the members."""
    return predictor.spread(raw) if landmarks is None else landmarks.hardness(predictor.encoder.encode(raw))


def _calibration(saved: bytes, encoder: Encoder, decoder: Decoder) -> Calibration:
    if isinstance(decoder, LabelDecoder):
        return LabelCalibration.from_bytes(saved, len(decoder.labels))
    return NumberCalibration.from_bytes(saved, decoder.n_outputs, encoder.n_inputs)


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise BundleDamaged("expected a text")
    return found


def _check_format(found: object) -> None:
    if found != FORMAT:
        raise BundleDamaged(
            f"found {shortened_name(repr(found))}, and only {FORMAT} is read here; another release wrote it"
        )


def _check_dtype(saved: dict[str, Any]) -> None:
    """Raise BundleDamaged for all but the types of networks: NumPy would take any text, and some as an expression."""
    if saved["dtype"] not in get_args(Dtype):
        raise BundleDamaged(f"dtype: expected {' or '.join(get_args(Dtype))}")


def _check_widths(architecture: Architecture, encoder: Encoder, decoder: Decoder) -> None:
    found, expected = (architecture.n_inputs, architecture.n_outputs), (encoder.n_inputs, decoder.n_outputs)
    if found != expected:
        raise BundleDamaged(
            f"{found[0]} inputs and {found[1]} outputs, but the encoder makes {expected[0]} inputs "
            f"and the decoder takes {expected[1]} outputs"
        )


def _check_profile(profile: Profile | None, encoder: Encoder, decoder: Decoder) -> None:
    if profile is None:
        return
    for histograms, columns in ((profile.inputs, encoder.columns), (profile.outputs, decoder.columns)):
        names = tuple(histogram.name for histogram in histograms)
        if not names or names != columns[: len(names)]:
            raise BundleDamaged("its columns are not those of the encoder and the decoder")


def _named(names: tuple[str, ...], beyond: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """The rows that are beyond in some column, and these columns; `beyond` (n_rows, n_columns)."""
    return _columns_of(names, beyond, np.flatnonzero(beyond.any(axis=1)))


def _columns_of(names: tuple[str, ...], beyond: NDArray[np.bool_], rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Some rows, and the columns in which they are beyond."""
    return [{"row": row, "columns": [names[place] for place in np.flatnonzero(beyond[row])]} for row in rows.tolist()]


def all_finite(answers: Array, why: str = TOO_LARGE) -> Array:
    """Return the answers (n_rows, n_answers). Raises NotFinite, with `why`, for the first row with something else."""
    finite = np.isfinite(answers)
    if not finite.all():
        raise NotFinite(int(np.argmin(finite.all(axis=1))), why)
    return answers


def _saved(raw: Raw) -> Any:
    if not isinstance(raw, Table):
        return raw.tolist()
    return {
        name: [None if cell is None or cell != cell else cell for cell in values.tolist()]  # NaN
        for name, values in raw.columns.items()
    }


def _restored(saved: Any, encoder: Encoder) -> Raw:
    if not isinstance(encoder, TableEncoder):
        return _rows_of_numbers(saved)
    if not isinstance(saved, dict):
        raise BundleDamaged("expected a list of values for each column")
    return Table({name: _restored_column(kind, saved, name) for name, kind in encoder.kinds.items()})


def _restored_column(kind: Kind, saved: dict[str, Any], name: str) -> Values:
    values = saved[name]
    with damage_at(shortened_name(name)):
        if kind in ("category", "text") and not all(cell is None or isinstance(cell, str) for cell in values):
            raise BundleDamaged("expected texts")
        return column_of(kind, values)


def _rows_of_numbers(saved: Any) -> Array:
    rows = np.asarray(saved, dtype=np.float64)
    if len(rows) == 0:
        raise BundleDamaged("there are no golden rows")
    if rows.ndim != 2:
        raise BundleDamaged(f"expected rows of numbers, found {rows.ndim} dimension(s) instead of 2")
    return rows


def _json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=True, indent=1).encode()
