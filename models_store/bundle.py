"""One trained pattern: network, encoders, recipe and card together. Nothing predicts without all of them.

raw rows -> InputEncoder -> Network -> OutputDecoder -> raw answers
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import FiniteFloat, TypeAdapter

from models_store.architecture import Architecture, Network
from models_store.card import Card
from models_store.encoding import InputEncoder, OutputDecoder
from models_store.errors import BundleDamaged, NotFinite
from models_store.scaler import Array

FORMAT = 1
LoadNetwork = Callable[[bytes, Architecture], Network]

# Golden rows may differ this much, in units of the output scale and relatively: between a CPU and a GPU float32
# sums are ordered differently, and this is ten times what that was seen to change.
GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Evaluation:
    """Test rows with what was predicted for them, in raw units: what the plots are drawn from."""

    inputs: list[list[FiniteFloat]]
    predicted: list[list[FiniteFloat]]
    labels: list[list[FiniteFloat]]


HISTORY = TypeAdapter(dict[str, list[FiniteFloat]])
EVALUATION = TypeAdapter(Evaluation)


@dataclass(frozen=True)
class Description:
    """What can be said of a version without loading its network."""

    recipe: dict[str, Any]
    card: Card
    history: dict[str, list[float]]
    evaluation: Evaluation

    @classmethod
    def from_files(cls, files: dict[str, bytes]) -> Self:
        try:
            description = json.loads(files["bundle.json"])
            return cls(
                recipe=description["recipe"],
                card=Card.model_validate(description["card"]),
                history=HISTORY.validate_json(files["history.json"]),
                evaluation=EVALUATION.validate_json(files["evaluation.json"]),
            )
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise BundleDamaged("a file of the bundle does not hold what it should") from error


@dataclass(frozen=True, eq=False)
class Predictor:
    """Everything between a raw row and its raw answer, and nothing else: the one path that all predictions take."""

    encoder: InputEncoder
    network: Network
    decoder: OutputDecoder

    def predict(self, raw: Array) -> Array:
        """Raw float64 (n_rows, n_columns) -> raw float64 (n_rows, n_outputs). NotFinite names the row."""
        return all_finite(self.answers(raw))

    def answers(self, raw: Array) -> Array:
        """Like `predict`, but a row that cannot be answered is NaN, so that it spoils no other request's rows."""
        encoded = self.encoder.encode(raw)
        with np.errstate(over="ignore", invalid="ignore"):
            answered = self.decoder.decode(self.network(encoded))
        # A network can make a finite number of an infinite input; that number would mean nothing.
        answered[~np.isfinite(encoded).all(axis=1)] = np.nan
        return answered


@dataclass(frozen=True, eq=False)
class Bundle:
    """Frozen; as long-lived as whoever holds it. The store numbers it when it publishes it."""

    pattern: str
    recipe: dict[str, Any]
    architecture: Architecture
    predictor: Predictor
    card: Card
    history: dict[str, list[float]]
    evaluation: Evaluation
    golden_inputs: Array

    @property
    def description(self) -> Description:
        return Description(self.recipe, self.card, self.history, self.evaluation)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.predictor.encoder.columns

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.predictor.decoder.columns

    def predict(self, raw: Array) -> Array:
        """Raw float64 (n_rows, n_columns) -> raw float64 (n_rows, n_outputs). NotFinite names the row."""
        return self.predictor.predict(raw)

    def sample(self) -> dict[str, Any]:
        """A body for `/predict` that works as it is: two rows from inside what it has seen."""
        return {"inputs": [dict(zip(self.inputs, row, strict=True)) for row in self.golden_inputs[:2].tolist()]}

    def outside(self, raw: Array) -> list[dict[str, Any]]:
        """The rows with a value outside the range of the training rows, and the columns where."""
        lowest = np.array([column.minimum for column in self.card.inputs])
        highest = np.array([column.maximum for column in self.card.inputs])
        beyond = (raw < lowest) | (raw > highest)
        return [
            {"row": int(row), "columns": [self.inputs[place] for place in np.flatnonzero(beyond[row])]}
            for row in np.flatnonzero(beyond.any(axis=1))
        ]

    def to_files(self) -> dict[str, bytes]:
        golden = {"inputs": self.golden_inputs.tolist(), "outputs": self.predict(self.golden_inputs).tolist()}
        description = {
            "format": FORMAT,
            "pattern": self.pattern,
            "recipe": self.recipe,
            "encoder": self.predictor.encoder.to_dict(),
            "architecture": self.architecture.to_dict(),
            "decoder": self.predictor.decoder.to_dict(),
            "card": self.card.model_dump(mode="json"),
        }
        return {
            "bundle.json": _json(description),
            "network.keras": self.predictor.network.to_bytes(),
            "history.json": _json(self.history),
            "evaluation.json": _json(vars(self.evaluation)),
            "golden.json": _json(golden),
        }

    @classmethod
    def from_files(cls, files: dict[str, bytes], load_network: LoadNetwork) -> Self:
        """Everything checked, the golden rows last; BundleDamaged says what did not hold."""
        try:
            description = json.loads(files["bundle.json"])
            if description["format"] != FORMAT:
                raise BundleDamaged(
                    f"bundle format {description['format']!r} is not {FORMAT}, the one that is read here"
                )
            architecture = Architecture.from_dict(description["architecture"])
            golden = json.loads(files["golden.json"])
            described = Description.from_files(files)
            bundle = cls(
                pattern=description["pattern"],
                recipe=described.recipe,
                architecture=architecture,
                predictor=Predictor(
                    InputEncoder.from_dict(description["encoder"]),
                    load_network(files["network.keras"], architecture),
                    OutputDecoder.from_dict(description["decoder"]),
                ),
                card=described.card,
                history=described.history,
                evaluation=described.evaluation,
                golden_inputs=np.asarray(golden["inputs"], dtype=np.float64),
            )
            bundle.check_golden(np.asarray(golden["outputs"], dtype=np.float64))
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise BundleDamaged("a file of the bundle does not hold what it should") from error
        return bundle

    def check_golden(self, expected: Array) -> None:
        """The network, on the device that will serve, still answers what it answered when it was published."""
        encoder, decoder = self.predictor.encoder, self.predictor.decoder
        if (encoder.n_inputs, len(decoder.columns)) != (self.architecture.n_inputs, self.architecture.n_outputs):
            raise BundleDamaged("the encoders do not belong to the network")
        if len(expected) == 0:
            raise BundleDamaged("the bundle holds no golden rows")
        room = GOLDEN_TOLERANCE * (decoder.scaler.scale + np.abs(expected))
        difference = np.abs(self.predictor.answers(self.golden_inputs) - expected)
        if not np.all(difference <= room):
            raise BundleDamaged("the network no longer answers its golden rows as it did when it was published")


def all_finite(answers: Array) -> Array:
    finite = np.isfinite(answers)
    if not finite.all():
        raise NotFinite(row=int(np.argmin(finite.all(axis=1))))
    return answers


def _json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=True, indent=1).encode()
